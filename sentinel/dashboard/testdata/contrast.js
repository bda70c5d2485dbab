// Measures the contrast of every text that is shown against what is behind it, and of every mark and line of the picture: 4.5 to 1 for texts, 3 to 1
// for the rest, as WCAG 2.2 has it (1.4.3, 1.4.11).
(async () => {
  const root = document.querySelector('dialog[open]') ?? document.body;
  const parse = (c) => (/^rgba?\(([^)]+)\)/.exec(c)?.[1] ?? '').split(/[ ,/]+/).map(Number);
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => {
    const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  // ground is the colour of an element, if it has one that hides what is behind.
  const ground = (e) => {
    const style = getComputedStyle(e);
    const color = e instanceof SVGElement ? style.fill : style.backgroundColor;
    const [r, g, b, a = 1] = parse(color);
    return r === undefined || Number.isNaN(r) || a < 1 ? null : [r, g, b];
  };
  const behind = (element, x, y) => {
    const stack = document.elementsFromPoint(x, y);
    const from = stack.findIndex((e) => e === element || element.contains(e));
    for (const e of stack.slice(from < 0 ? 0 : from)) {
      if (e.closest('text') || (e !== element && e.classList.contains('mark'))) continue;
      if (e instanceof SVGElement && (e === element || e.localName === 'svg')) continue;
      const color = ground(e);
      if (color) return color;
    }
    return ground(document.body);
  };
  const weak = new Set();
  const check = (name, color, back, least) => {
    const r = ratio(color, back);
    if (r < least) weak.add(`${name}: ${r.toFixed(2)}, rgb(${color}) on rgb(${back})`);
  };
  let texts = 0;
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) || element.closest('.unseen, .skip, title, button:disabled, option')) continue;
    element.scrollIntoView({ block: 'center', inline: 'center' });
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = [...range.getClientRects()].find((r) => r.width > 0 && r.height > 0);
    if (!box) continue;
    const style = getComputedStyle(element);
    const svg = element instanceof SVGElement;
    texts++;
    check(`"${node.data.trim().slice(0, 40)}"`, parse(svg ? style.fill : style.color).slice(0, 3), behind(element, box.x + Math.min(3, box.width / 2), box.y + box.height / 2), 4.5);
  }
  for (const e of root.querySelectorAll('.mark, .edge path, .border, .trunk, button, input, select')) {
    if (!e.checkVisibility() || e.disabled) continue;
    e.scrollIntoView({ block: 'center', inline: 'center' });
    const style = getComputedStyle(e);
    const line = !(e instanceof SVGElement) ? (e.closest('.tools') ? style.color : style.borderTopColor) : style.fill === 'none' ? style.stroke : style.fill;
    const ancestor = e.closest('section, header, aside, dialog, nav, .banner') ?? document.body;
    check(`${e.localName}.${e.getAttribute('class') ?? ''}`, parse(line).slice(0, 3), ground(ancestor) ?? ground(document.body), 3);
  }
  return { texts, weak: [...weak] };
})()
