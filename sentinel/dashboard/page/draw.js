// The picture of a master as SVG.

import { h } from './dom.js';
import { card, fit, layout, summary } from './topology.js';

// Sizes of letters as wide as they come: mono for addresses, text for the rest.
const letter = { mono: 8.5, text: 6.9 };

// draw gives the picture in a width. id tells its parts from those of other pictures of the page.
export function draw(picture, width, name) {
  const plan = layout(picture, width);
  const at = new Map(plan.nodes.map((n) => [n.addr, n]));
  const chips = new Map(picture.others.map((a) => [a.id, a]));
  return h('svg', {
    class: 'topology', role: 'img', 'aria-label': `${name}. ${summary(picture)}`,
    viewBox: `-2 -2 ${plan.width + 4} ${plan.height + 4}`, width: plan.width + 4, height: plan.height + 4,
  },
  h('defs', null, ...['live', 'syncing', 'down'].map(arrow)),
  plan.trunk && h('path', { key: 'trunk', class: 'trunk', d: plan.trunk }),
  plan.edges.map(edge),
  [...picture.servers].sort((a, b) => (a.addr < b.addr ? -1 : 1)).map((s) => server(s, at.get(s.addr))), // in the same order whoever leads
  plan.chips.map((c) => lone(chips.get(c.id), c)));
}

function arrow(kind) {
  return h('marker', { key: kind, id: `arrow-${kind}`, class: `arrow ${kind}`, viewBox: '0 0 10 10', refX: 2, refY: 5, markerWidth: 9, markerHeight: 9, markerUnits: 'userSpaceOnUse', orient: 'auto' },
    h('path', { d: 'M0 0L10 5L0 10z' }));
}

function edge(e) {
  return h('g', { key: `${e.from} ${e.to} ${e.kind}`, class: `edge ${e.kind}` },
    h('path', { d: e.d, 'marker-end': `url(#arrow-${e.kind})` }));
}

function server(s, n) {
  const inner = n.width - 32;
  return h('g', { key: s.addr, class: `server ${s.role} ${s.tone}`, style: { transform: `translate(${n.x}px, ${n.y}px)` } },
    h('title', null, `${s.role} ${s.addr}: ${s.lines.map((l) => (l.more ? `${l.text} (${l.more})` : l.text)).join(', ')}`),
    h('rect', { class: 'body', width: n.width, height: n.height, rx: 10 }),
    h('path', { class: 'strip', d: foot(n.width, n.height) }),
    h('rect', { key: 'border', class: 'border', width: n.width, height: n.height, rx: 10 }),
    h('text', { class: 'role', x: 16, y: 25 }, s.role.toUpperCase()),
    s.chosen && h('text', { class: 'note', x: n.width - 16, y: 25, 'text-anchor': 'end' }, s.role === 'master' ? 'new master' : 'chosen'),
    h('text', { class: 'addr', x: 16, y: 47 }, fit(s.addr, inner, letter.mono)),
    shown(s.lines).map((l, i) => h('g', { key: `line ${i}`, class: `line ${l.tone}`, transform: `translate(16 ${70 + i * 19})` },
      mark(l.tone, 5, -4), h('text', { x: 18 }, fit(l.text, inner - 18, letter.text)))),
    beside(s.agent, n));
}

// shown are the two lines that there is room for: that a server is up goes without saying when there is more to say.
function shown(lines) {
  return lines.length > 2 ? lines.slice(1, 3) : lines;
}

function foot(width, height) {
  const top = height - card.strip;
  return `M0 ${top}H${width}V${height - 10}a10 10 0 0 1 -10 10H10a10 10 0 0 1 -10 -10z`;
}

function beside(agent, n) {
  const y = n.height - 11;
  if (!agent) return h('text', { class: 'agent none', x: 16, y }, 'no agent beside it');
  return h('g', { key: 'agent', class: `agent ${agent.tone}` },
    mark(agent.leads ? 'star' : agent.tone, 21, y - 4),
    h('text', { x: 34, y }, fit(agent.self ? `${agent.id} (asked)` : agent.id, n.width - 50 - 8 * agent.word.length, letter.text)),
    h('text', { class: 'note', x: n.width - 16, y, 'text-anchor': 'end' }, agent.word));
}

// lone is an agent that is beside none of the servers.
function lone(agent, c) {
  return h('g', { key: `agent ${agent.id}`, class: `lone agent ${agent.tone}`, style: { transform: `translate(${c.x}px, ${c.y}px)` } },
    h('title', null, `${agent.id}: ${agent.word || 'up'}${agent.witness ? ', a witness' : ''}`),
    h('rect', { width: c.width, height: c.height, rx: 10 }),
    mark(agent.leads ? 'star' : agent.tone, 18, c.height / 2),
    h('text', { x: 32, y: c.height / 2 + 4 }, fit(agent.self ? `${agent.id} (asked)` : agent.id, c.width - 104, letter.text)),
    h('text', { class: 'note', x: c.width - 12, y: c.height / 2 + 4, 'text-anchor': 'end' }, agent.word || (agent.witness ? 'witness' : '')));
}

const marks = {
  good: 'M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z',
  unknown: 'M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z',
  warn: 'M0 -5.5L6 5H-6z',
  bad: 'M-5 -3L-3 -5L0 -2L3 -5L5 -3L2 0L5 3L3 5L0 2L-3 5L-5 3L-2 0z',
  star: 'M0 -6.5L1.9 -2.2L6.5 -1.9L3 1.2L4.1 5.7L0 3.2L-4.1 5.7L-3 1.2L-6.5 -1.9L-1.9 -2.2z',
};

// mark is the shape that goes with a tone, around a point.
function mark(tone, x, y) {
  return h('path', { key: 'mark', class: `mark ${tone}`, d: marks[tone], transform: `translate(${x} ${y})` });
}

// icon is a mark on its own, within text. The word beside it says the same.
export function icon(tone) {
  return h('svg', { class: `icon ${tone}`, viewBox: '-8 -8 16 16', width: 16, height: 16, 'aria-hidden': 'true' }, mark(tone, 0, 0));
}
