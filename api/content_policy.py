"""What a page may load and run: our own files, and nothing inline (https://www.w3.org/TR/CSP3/)."""


def policy(*scripts: str) -> str:
    """The policy for pages whose scripts may come from `scripts`."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(scripts)}",
            "style-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        )
    )


HEADER = "content-security-policy"
USUAL = policy("'self'")
# What reads codes out of the camera's picture is compiled, and comes from us like any script.
WITH_CAMERA = policy("'self'", "'wasm-unsafe-eval'")
