"""What keeps people out of a page, found in the page itself: each check answers the elements that are at fault.

WCAG 2.2 by numbers: names 4.1.2, headings and landmarks 1.3.1, language 3.1.1, order 2.4.3, focus 2.4.7, targets 2.5.5
(44 CSS pixels, the level AAA that a shaking thumb needs), contrast 1.4.3.
"""

from playwright.sync_api import Page

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

FAULTS = """() => {
  const faults = [];
  const blame = (rule, element) => faults.push(rule + ': ' + element.outerHTML.slice(0, 160));
  const all = selector => [...document.querySelectorAll(selector)];
  const seen = element => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const text = id => document.getElementById(id)?.textContent.trim() ?? '';
  const name = element =>
    (element.getAttribute('aria-labelledby') ?? '').split(' ').map(text).join(' ').trim()
    || (element.getAttribute('aria-label') ?? '').trim()
    || [...(element.labels ?? [])].map(each => each.textContent).join(' ').trim()
    || element.textContent.trim();

  // Landmarks: everything stands in one, there is one main, and those that are several have names of their own.
  if (all('main').length !== 1) blame('one main', document.body);
  // A sheet for paper has neither.
  const frame = document.body.matches('.paper') ? 0 : 1;
  for (const part of ['header', 'footer']) if (all('body > ' + part).length !== frame) blame(part, document.body);
  const navs = all('nav').map(name);
  if (new Set(navs).size !== navs.length || navs.includes('')) blame('named nav', document.body);
  for (const element of all('body > *'))
    if (!element.matches('header, nav, main, footer, aside, .skip, script, noscript')) blame('in a landmark', element);

  // Headings: one h1, none skipped, none empty.
  let level = 0;
  for (const heading of all('h1, h2, h3, h4, h5, h6').filter(seen)) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) blame('heading after h' + level, heading);
    if (!heading.textContent.trim()) blame('empty heading', heading);
    level = own;
  }
  if (all('h1').length !== 1) blame('one h1', document.body);

  // Names.
  for (const element of all('a[href], button, input:not([type=hidden]), select, textarea, summary, section, progress'))
    if (seen(element) && !element.matches('section:not([aria-label], [aria-labelledby])') && !name(element))
      blame('name', element);
  for (const element of all('img:not([alt])')) blame('alt', element);
  for (const element of all('svg'))
    if (element.getAttribute('aria-hidden') !== 'true' && !(element.getAttribute('role') === 'img' && name(element)))
      blame('picture without words', element);
  for (const element of all('fieldset'))
    if (!element.querySelector('legend')?.textContent.trim()) blame('legend', element);
  for (const element of all('th')) if (!element.scope) blame('scope', element);

  // References and ids.
  const ids = all('[id]').map(each => each.id);
  for (const id of ids) if (ids.filter(each => each === id).length > 1) blame('id twice', document.getElementById(id));
  for (const element of all('[aria-labelledby], [aria-describedby], [for]'))
    for (const attribute of ['aria-labelledby', 'aria-describedby', 'for'])
      for (const id of (element.getAttribute(attribute) ?? '').split(' ').filter(Boolean))
        if (!document.getElementById(id)) blame(attribute, element);

  // Order, language, nothing that acts by itself.
  for (const element of all('[tabindex]')) if (element.tabIndex > 0) blame('tabindex', element);
  for (const element of all('ul > :not(li), ol > :not(li)')) blame('list', element);
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

# As many stops as Tab makes: the radio buttons of one name are one.
STOPS = """() => {
  const found = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')]
    .filter(each => each.checkVisibility({ visibilityProperty: true }) && !each.disabled);
  const radios = found.filter(each => each.type === 'radio');
  return found.length - radios.length + new Set(radios.map(each => each.name)).size;
}"""


def faults(page: Page) -> list[str]:
    """What is wrong with the page for somebody who hears it, taps it with a shaking thumb, or uses keys."""
    # What is folded is read too.
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    return list(page.evaluate(FAULTS))


def poor_contrast(page: Page) -> list[str]:
    """Texts that stand out from their ground by less than WCAG AA asks (4.5, or 3 where they are large)."""
    return list(page.evaluate(CONTRAST))


def shifts(page: Page) -> list[str]:
    """What moved by itself while the page came up, each with by how much. `WATCH_SHIFTS` has to run before."""
    # Two frames after everything has arrived: what moves late has moved by then.
    page.evaluate("""() => document.fonts.ready.then(() =>
      new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))))""")
    return list(page.evaluate("window.shifted"))


def walk_by_keyboard(page: Page) -> list[str]:
    """Press Tab through the whole page; answers what is wrong on the way.

    Every stop is where the eye expects it, ringed and not covered, and nothing is left out.
    """
    stops, wrong = page.evaluate(STOPS), []
    # Back to the first stop, from wherever the page has put the focus.
    page.keyboard.press("Tab")
    for _ in range(stops):
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
