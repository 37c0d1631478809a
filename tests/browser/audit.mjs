// What a page owes to people who cannot see it well, or at all: names, headings, landmarks, contrast, target sizes. Runs in
// the page and gives a list of faults. It looks at what is visible now, so it is run for each state worth it.

export const audit = (page) => page.evaluate(inspect);

function inspect() {
  const faults = [];
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const visible = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  const say = (element) => `<${element.tagName.toLowerCase()}> ${(element.getAttribute('aria-label') ?? element.textContent ?? '').trim().slice(0, 40)}`;

  // --- document --------------------------------------------------------------------------------------------
  if (!document.documentElement.lang) faults.push('the document has no language');
  if (!document.title.includes('Exarch')) faults.push(`the title says «${document.title}»`);
  if (all('main').filter(visible).length !== 1) faults.push('there is not exactly one main');
  const headings = all('h1,h2,h3,h4,h5,h6').filter(visible);
  if (headings.filter((heading) => heading.tagName === 'H1').length !== 1) faults.push('there is not exactly one h1');
  // A modal dialog hides the page from readers: its headings are counted by themselves, below the page's own.
  const modal = document.querySelector('dialog:modal');
  const read = modal ? headings.filter((heading) => modal.contains(heading)) : headings;
  read.reduce((before, heading) => {
    const level = Number(heading.tagName[1]);
    if (level > before + 1) faults.push(`heading level ${level} follows ${before}: ${say(heading)}`);
    return level;
  }, modal ? 1 : 0);
  const ids = all('[id]').map((element) => element.id);
  for (const id of new Set(ids.filter((each, n) => ids.indexOf(each) !== n))) faults.push(`id «${id}» is used twice`);
  for (const attribute of ['aria-labelledby', 'aria-describedby', 'aria-controls', 'for', 'popovertarget']) {
    for (const element of all(`[${attribute}]`)) {
      for (const id of element.getAttribute(attribute).split(/\s+/)) {
        if (!document.getElementById(id)) faults.push(`${attribute} of ${say(element)} points to nothing`);
      }
    }
  }

  // --- names and tables ------------------------------------------------------------------------------------
  const textOf = (id) => document.getElementById(id)?.textContent?.trim() ?? '';
  const nameOf = (element) =>
    element.getAttribute('aria-label')?.trim() ||
    (element.getAttribute('aria-labelledby') ?? '').split(/\s+/).map(textOf).join(' ').trim() ||
    [...(element.labels ?? [])].map((label) => label.textContent.trim()).join(' ') ||
    (['INPUT', 'SELECT', 'TEXTAREA'].includes(element.tagName) ? '' : element.textContent.trim());
  for (const element of all('a[href],button,input:not([type=hidden]),select,textarea,summary,dialog,[role=region],nav+nav,table')) {
    if (element.hidden || !visible(element)) continue;
    const name = element.tagName === 'TABLE' ? element.caption?.textContent : nameOf(element);
    if (!name) faults.push(`no name: ${element.outerHTML.slice(0, 80)}`);
  }
  for (const image of all('img:not([alt]),svg:not([aria-hidden],[aria-label],[role])')) faults.push(`an image without a text: ${image.outerHTML.slice(0, 60)}`);
  for (const head of all('th:not([scope])')) faults.push(`a table head without scope: ${say(head)}`);
  for (const element of all('[tabindex]')) if (element.tabIndex > 0) faults.push(`a positive tabindex: ${say(element)}`);
  for (const element of all('a a,a button,button a,button button,label button,label a')) faults.push(`one control in another: ${say(element)}`);

  // --- contrast --------------------------------------------------------------------------------------------
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((each, n) => each * a + below[n] * (1 - a));
  const behind = (element) => {
    if (!element) return rgba(getComputedStyle(document.documentElement).colorScheme === 'dark' ? 'black' : 'white').slice(0, 3);
    const colour = rgba(getComputedStyle(element).backgroundColor);
    return colour[3] === 1 ? colour.slice(0, 3) : over(colour, behind(element.parentElement));
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((each) => (each / 255 <= 0.04045 ? each / 255 / 12.92 : ((each / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [high, low] = [light(a), light(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  const faded = (element) => element.closest('[aria-disabled=true],:disabled');
  let pairs = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || !visible(element) || faded(element) || element.closest('.sr-only,noscript,script,title,svg')) continue;
    const { color, fontSize, fontWeight } = getComputedStyle(element);
    const size = parseFloat(fontSize);
    const needed = size >= 24 || (size >= 18.66 && Number(fontWeight) >= 700) ? 3 : 4.5;
    const below = behind(element);
    const found = contrast(over(rgba(color), below), below);
    pairs += 1;
    if (found < needed) faults.push(`contrast ${found.toFixed(2)} of ${needed}: ${say(element)}`);
  }
  if (pairs < 3) faults.push(`only ${pairs} texts were found to measure`);
  for (const field of all('input:not([type=radio],[type=hidden],.sr-only)').filter(visible)) {
    const found = contrast(over(rgba(getComputedStyle(field).borderTopColor), behind(field.parentElement)), behind(field.parentElement));
    if (found < 3) faults.push(`the edge of a field has contrast ${found.toFixed(2)} of 3`);
  }

  // --- targets ---------------------------------------------------------------------------------------------
  for (const element of all('button,a[href],label:has(input)').filter(visible)) {
    const { width, height } = element.getBoundingClientRect();
    if (element.closest('.sr-only') || element.matches('.sr-only') || width <= 1) continue;
    const inline = getComputedStyle(element).display === 'inline' || element.closest('p,th,td');
    if (!inline && (width < 24 || height < 24)) faults.push(`a target of ${Math.round(width)}×${Math.round(height)}: ${say(element)}`);
  }
  return faults;
}
