// What the page shows is described by h and made so by render, in place: what stays keeps its focus, its selection and its transitions.
// Text is only ever inserted as text, and attributes are those that this page's own code names: what a server says can't become markup.

const SVG = 'http://www.w3.org/2000/svg';

// h describes an element. Among its props are attributes; properties that attributes don't set on a living element; onclick and the like,
// which are functions; style, an object; and key, by which an element is found again among its siblings.
export function h(tag, props, ...children) {
  return { tag, props: props ?? {}, children };
}

// render makes a parent's children what is described.
export function render(parent, ...children) {
  const nodes = children.flat(Infinity).filter((c) => c != null && c !== false);
  const keyed = new Map();
  for (const child of parent.childNodes) {
    if (child.props?.key !== undefined) keyed.set(child.props.key, child);
  }
  let at = parent.firstChild;
  for (const node of nodes) {
    const found = find(node, at, keyed) ?? create(node, parent);
    if (found === at) at = at.nextSibling;
    else parent.insertBefore(found, at);
    if (found.nodeType === Node.TEXT_NODE) {
      if (found.data !== String(node)) found.data = node;
      continue;
    }
    assign(found, node.props);
    render(found, node.children);
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

// find gives the node that can become what is described; undefined: there is none.
function find(node, at, keyed) {
  if (typeof node !== 'object') return at?.nodeType === Node.TEXT_NODE ? at : undefined;
  const { key } = node.props;
  const candidate = key === undefined ? at : keyed.get(key);
  const same = candidate?.localName === node.tag && candidate.props?.key === key;
  return same ? candidate : undefined;
}

function create(node, parent) {
  if (typeof node !== 'object') return document.createTextNode(node);
  const svg = node.tag === 'svg' || (parent.namespaceURI === SVG && parent.localName !== 'foreignObject');
  const element = svg ? document.createElementNS(SVG, node.tag) : document.createElement(node.tag);
  element.props = { key: node.props.key };
  return element;
}

const properties = new Set(['checked', 'disabled', 'hidden', 'value']);

function assign(element, props) {
  const before = element.props;
  for (const name of Object.keys({ ...before, ...props })) {
    const value = props[name];
    if (name === 'key' || value === before[name]) continue;
    if (name === 'style') {
      for (const [property, v] of Object.entries(value)) element.style.setProperty(property, v);
    } else if (name.startsWith('on')) {
      element[name] = typeof value === 'function' ? value : null;
    } else if (properties.has(name)) {
      element[name] = value ?? '';
    } else if (value == null || value === false) {
      element.removeAttribute(name);
    } else {
      element.setAttribute(name, value === true ? '' : value);
    }
  }
  element.props = props;
}
