"""What keeps people out of a page, found in the page itself: each check answers the elements that are at fault.

axe-core knows the rules of WCAG 2.2, A and AA, and what is good practice; none of them may be broken. What is here
besides is what it does not ask: targets of 44 CSS pixels (2.5.5, the level AAA that a shaking thumb needs), contrast
where it cannot make up its mind (1.4.3: one character, a shade as the ground), focus that is seen (2.4.7) in an order
that makes sense (2.4.3), text that fits however large it is (1.4.4, 1.4.10), and habits of our own.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from playwright.sync_api import Page

# As `npm ci` put it there, for the tests alone.
AXE = Path(__file__).parents[2] / "api" / "web" / "node_modules" / "axe-core" / "axe.min.js"
BARRIERS = """async without => {
  const { violations } = await axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    rules: Object.fromEntries(without.map(rule => [rule, { enabled: false }])),
    resultTypes: ['violations'],
    // Style sheets are not fetched a second time; what is found is named by its own text.
    preload: false,
    selectors: false,
  });
  return violations.flatMap(({ id, impact, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id} (${impact}): ${html.slice(0, 160)} ${failureSummary}`));
}"""

# The two rules that take longer than all others together. Our own checks of the same are stricter in nearly all.
DEAR = ["color-contrast", "target-size"]

# Kept from before the page's own scripts run: how far anything moved by itself (web.dev, CLS).
WATCH_SHIFTS = """
window.shifted = [];
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) {
    const what = entry.sources.map(each => each.node?.outerHTML?.slice(0, 120)).join(' | ');
    if (!entry.hadRecentInput) window.shifted.push(entry.value + ' ' + what);
  }
}).observe({ type: 'layout-shift', buffered: true });
"""

# What the switch in the head comes to: `size.css` goes by it.
SET_IN = "size => { document.documentElement.dataset.size = size; }"

FAULTS = """() => {
  const faults = [];
  const blame = (rule, element) => faults.push(rule + ': ' + element.outerHTML.slice(0, 160));
  const all = selector => [...document.querySelectorAll(selector)];
  const seen = element => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const text = id => document.getElementById(id)?.textContent.trim() ?? '';
  const name = element =>
    (element.getAttribute('aria-labelledby') ?? '').split(' ').map(text).join(' ').trim()
    || (element.getAttribute('aria-label') ?? '').trim();

  // A page has a head and a foot, the one for no network no foot, a sheet for paper neither. Every list of ways has a
  // name, and nothing lies beside.
  const paper = document.body.matches('.paper');
  const frame = { header: paper ? 0 : 1, footer: paper || all('[data-shell]').length ? 0 : 1 };
  for (const part in frame) if (all('body > ' + part).length !== frame[part]) blame(part, document.body);
  if (all('nav').some(each => !name(each))) blame('named nav', document.body);
  for (const element of all('body > *'))
    if (!element.matches('header, nav, main, footer, aside, .skip, script, noscript')) blame('in a landmark', element);

  // Every picture is read out or passed over, whatever draws it; a group of fields and a table's heads say what for.
  for (const element of all('svg'))
    if (element.getAttribute('aria-hidden') !== 'true' && !(element.getAttribute('role') === 'img' && name(element)))
      blame('picture without words', element);
  for (const element of all('fieldset'))
    if (!element.querySelector('legend')?.textContent.trim()) blame('legend', element);
  for (const element of all('th')) if (!element.scope) blame('scope', element);

  const ids = all('[id]').map(each => each.id);
  for (const id of ids) if (ids.filter(each => each === id).length > 1) blame('id twice', document.getElementById(id));

  // Nothing that the content policy refuses; a phone knows what to fill in.
  for (const element of all('[style], [onclick], [onchange], style, script:not([src])')) blame('inline', element);
  for (const element of all('input[type=tel], input[type=password]'))
    if (!element.autocomplete) blame('autocomplete', element);

  // Targets. A link that stretches over what it stands in is as large as that; links within a sentence are excepted.
  const within = element =>
    element.matches('p a, dd a') && element.parentElement.textContent.trim() !== element.textContent.trim();
  for (const element of all('a[href], button, select, summary, input:not([type=hidden]), textarea')) {
    if (!seen(element) || within(element) || element.matches('.skip')) continue;
    const stretched = getComputedStyle(element, '::after').position === 'absolute';
    const area = stretched ? element.closest('.row, .offer') : element.closest('label') ?? element;
    const { width, height } = area.getBoundingClientRect();
    if (height < 44 || width < 44) blame(`target ${Math.round(width)}x${Math.round(height)}`, element);
  }
  return faults;
}"""

CONTRAST = """() => {
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const parts = colour => colour.match(/[0-9.]+/g).map(Number);
  const ground = element => {
    for (let each = element; each; each = each.parentElement) {
      const found = parts(getComputedStyle(each).backgroundColor);
      if (found.length < 4 || found[3] === 1) return found.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(parts(style.color).slice(0, 3)), light(ground(element))].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if ((a + 0.05) / (b + 0.05) < (large ? 3 : 4.5)) poor.push(element.outerHTML.slice(0, 200));
  }
  return poor;
}"""

# What is cut off at the side, or has lines that stand too close; what only decorates is not read.
SQUEEZED = """() => {
  const found = [];
  const wide = document.documentElement.clientWidth;
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    if (!own || element.matches('option, title, script, noscript, .hidden-visually, :has(.hidden-visually)')) continue;
    if (!element.checkVisibility()) continue;
    const range = document.createRange();
    range.selectNodeContents(element);
    const { left, right, width } = range.getBoundingClientRect();
    const style = getComputedStyle(element);
    if (width > 1 && (right > wide + 1 || left < -1)) found.push('cut: ' + element.outerHTML.slice(0, 160));
    if (style.overflowX === 'hidden' && element.clientWidth > 1 && element.scrollWidth > element.clientWidth + 1)
      found.push('hidden: ' + element.outerHTML.slice(0, 160));
    if (parseFloat(style.lineHeight) < 1.499 * parseFloat(style.fontSize))
      found.push('lines: ' + element.outerHTML.slice(0, 160));
    // A word that is broken has too little room. What is only heard needs none, an address is no word, and a table's
    // columns have to share what there is.
    if (element.clientWidth === 1 || element.closest('table, .wrap-anywhere, .number, code')) continue;
    for (const node of element.childNodes) {
      if (node.nodeType !== 3) continue;
      const words = /(?<![\\p{L}.@/])\\p{Script=Latin}{4,14}(?!\\p{L}|[@/]|\\.\\p{L})/gu;
      for (const { 0: word, index } of node.data.matchAll(words)) {
        range.setStart(node, index);
        range.setEnd(node, index + word.length);
        const lines = new Set([...range.getClientRects()].map(({ top }) => Math.round(top)));
        if (lines.size > 1) found.push('broken: ' + word + ' in ' + element.outerHTML.slice(0, 160));
      }
    }
  }
  return found;
}"""

# Where the keyboard is, and whether it can be seen there: an outline of two pixels or more, and not under the bar.
FOCUS = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const ring = each => each.outlineStyle !== 'none' && parseFloat(each.outlineWidth) >= 2;
  const { left, top, width, height } = element.getBoundingClientRect();
  const there = document.elementFromPoint(left + width / 2, top + height / 2);
  return {
    what: element.outerHTML.slice(0, 160),
    'no ring': !ring(getComputedStyle(element)) && !ring(getComputedStyle(element, '::after')),
    covered: !there || !(element.contains(there) || there.contains(element)),
    place: [...document.querySelectorAll('*')].indexOf(element),
    parted: element.matches('input[type=date], input[type=datetime-local], input[type=time]'),
  };
}"""

# As many stops as Tab makes, in all or behind the head: the radio buttons of one name are one.
STOPS = """behind => {
  const found = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')]
    .filter(each => each.checkVisibility({ visibilityProperty: true }) && !each.disabled)
    .filter(each => !behind || each.closest('main, main ~ *'));
  const radios = found.filter(each => each.type === 'radio');
  return found.length - radios.length + new Set(radios.map(each => each.name)).size;
}"""


@cache
def axe() -> str:
    """The text of axe-core, which a page runs because the browser is asked to, whatever the page's own policy."""
    return AXE.read_text(encoding="utf-8")


def barriers(page: Page, without: Sequence[str] = ()) -> list[str]:
    """What axe-core finds, of any weight, by all its rules but some."""
    if not page.evaluate("'axe' in window"):
        # The first page of this person; the next ones bring it with them, which is quicker.
        page.context.add_init_script(axe())
        page.evaluate(axe())
    return list(page.evaluate(BARRIERS, without))


def faults(page: Page, *, turned: bool = False) -> list[str]:
    """What is wrong with the page for somebody who hears it, taps it with a shaking thumb, or sees little.

    A page that was looked at already and is `turned` into another size is not asked by axe-core's DEAR rules again.
    """
    # What is folded is read too.
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    found = barriers(page, DEAR if turned else ())
    return [*page.evaluate(FAULTS), *found, *(f"contrast: {each}" for each in page.evaluate(CONTRAST))]


def squeezed(page: Page) -> list[str]:
    """Texts that are cut off, or whose lines stand closer than one and a half times their size."""
    return list(page.evaluate(SQUEEZED))


def sideways(page: Page) -> int:
    """By how many pixels the page scrolls sideways, or less than none."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def shifts(page: Page) -> list[str]:
    """What moved by itself while the page came up, each with by how much. `WATCH_SHIFTS` has to run before."""
    # Two frames after everything has arrived: what moves late has moved by then.
    page.evaluate("""() => document.fonts.ready.then(() =>
      new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))))""")
    return list(page.evaluate("window.shifted"))


def walk_by_keyboard(page: Page, *, behind_the_head: bool = False) -> list[str]:
    """Press Tab through the whole page, or from where the way past its head leads; answers what is wrong on the way.

    Every stop is where the eye expects it, ringed and not covered, and nothing is left out.
    """
    # A counter's page gives its own field the focus whenever nothing has it, so it is walked whole.
    behind_the_head = behind_the_head and page.locator(".skip").count() == 1 and not page.locator("[autofocus]").count()
    stops, wrong = page.evaluate(STOPS, behind_the_head), []
    if behind_the_head:
        page.locator(".skip").focus()
        page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    # Back to the first stop, from wherever the page has put the focus; a page without a head has put it nowhere.
    for _ in range(stops if not behind_the_head and page.locator(".skip").count() else 0):
        if page.evaluate("document.activeElement.matches('.skip')"):
            break
        page.keyboard.press("Shift+Tab")
    last, counted = -1, 0
    while counted < stops:
        at = page.evaluate(FOCUS)
        if at is None or at["place"] < last or (at["place"] == last and not at["parted"]):
            return [*wrong, f"the walk ends early, or goes back to {at}"]
        if at["place"] > last:
            counted += 1
            wrong += [f"{rule}: {at['what']}" for rule in ("no ring", "covered") if at[rule]]
        last = at["place"]
        page.keyboard.press("Tab")
    return wrong
