// The parts of the page around the picture.

import { h } from './dom.js';
import { icon } from './draw.js';
import { kind, tell } from './events.js';
import { capital, clock, count, date, duration, moment } from './format.js';
import { rank } from './topology.js';
import { story, timeline } from './timeline.js';

const words = (tone, text) => h('span', { class: `words ${tone}` }, icon(tone), ' ', text);

// group tells of the agents as a whole, in the head of the page.
export function group(status) {
  const up = status.agents.filter((a) => a.up).length;
  const voters = status.agents.filter((a) => a.voter).length;
  return [
    status.majority
      ? h('span', { key: 'leader', class: 'words' }, icon('star'), ' ', h('b', null, status.leader), ' leads')
      : h('span', { key: 'leader', class: 'words bad' }, icon('bad'), ' no majority'),
    h('span', { key: 'epoch' }, 'epoch ', h('b', null, status.epoch)),
    h('span', { key: 'agents', class: 'words' }, icon(up === status.agents.length ? 'good' : 'warn'), ` ${up} of ${count(status.agents.length, 'agent')} up`,
      voters < status.agents.length ? `, ${voters} vote` : ''),
    status.shadow && h('span', { key: 'shadow', class: 'words warn' }, icon('warn'), ' shadow mode: they only watch'),
    status.stalled && h('span', { key: 'stalled', class: 'words warn' }, icon('warn'), ` ${status.agent} was late itself`),
  ];
}

// shownMasters bounds the list of masters; the rest is found by their names.
const shownMasters = 200;

// masters is the list to choose from.
export function masters(status, selected, filter, filtered) {
  const all = status.masters.map((m) => ({ name: m.name, addr: m.server.addr, ...rank(status, m) }));
  const troubled = all.filter((m) => m.tone !== 'good');
  const wanted = all.filter((m) => `${m.name} ${m.addr}`.toLowerCase().includes(filter.text.toLowerCase()) && (!filter.unwell || m.tone !== 'good'));
  return [
    h('p', { key: 'sum', class: 'quiet' }, `${all.length} watched, ${troubled.length ? `${troubled.length} not well` : 'all well'}`),
    all.length > 7 && h('input', {
      key: 'search', type: 'search', placeholder: 'Name or address', 'aria-label': 'Find a master', value: filter.text, oninput: (e) => filtered({ text: e.target.value }),
    }),
    all.length > 7 && h('label', { key: 'unwell', class: 'choice quiet' },
      h('input', { type: 'checkbox', checked: filter.unwell, onchange: (e) => filtered({ unwell: e.target.checked }) }), ' only those not well'),
    h('ul', { key: 'list' }, wanted.slice(0, shownMasters).map((m) => h('li', { key: m.name },
      h('a', { href: path(m.name), 'aria-current': m.name === selected ? 'page' : null, class: m.tone },
        icon(m.tone), h('span', { class: 'name' }, m.name), h('span', { class: 'note' }, m.word))))),
    wanted.length > shownMasters && h('p', { key: 'more', class: 'quiet' }, `… and ${wanted.length - shownMasters} more: find them by name`),
    wanted.length === 0 && h('p', { key: 'none', class: 'quiet' }, 'There is none like that.'),
  ];
}

// path is the address of a master within the page.
export function path(name) {
  return `#/masters/${encodeURIComponent(name)}`;
}

// facts is what there is to know of a master, in short.
export function facts(status, master, picture) {
  const lease = picture.servers[0].lines.at(-1);
  const pause = master.paused;
  const list = [
    ['Master', h('code', null, master.server.addr)],
    ['Epoch', String(master.epoch)],
    ['Quorum', `${master.quorum} of ${status.agents.filter((a) => a.voter).length}`],
    ['Lease', words(lease.tone, lease.detail ?? lease.text.replace('lease ', ''))],
    pause && ['Paused', words('warn', `until ${date(moment(pause.until))}, by ${pause.who}${pause.why ? `: ${pause.why}` : ''}`)],
    master.scheduled && ['Switchover', `to ${master.scheduled.to || 'the best replica'} at ${date(moment(master.scheduled.at))}, ordered by ${master.scheduled.who}`],
    master.shadow?.why && ['Shadow', master.shadow.compared || master.shadow.why],
  ];
  return h('dl', { class: 'facts' }, list.filter(Boolean).map(([name, value]) => h('div', { key: name }, h('dt', null, name), h('dd', null, value))));
}

// findings are what people should see to.
export function findings(master) {
  const list = [
    ...(master.findings ?? []).map((f) => [f.code, `${f.where}: ${f.text}`, f.remedy]),
    ...(master.foreign ?? []).map((f) => ['ForeignSentinel', `a Redis Sentinel at ${f.addr} watches it, too`, 'picket.yaml: foreign-sentinels']),
  ];
  return list.length === 0 ? null : h('ul', { class: 'findings' }, list.map(([code, text, remedy], i) => h('li', { key: i },
    icon('warn'), h('div', null, h('b', null, code), ' ', text, remedy && h('p', { class: 'quiet' }, capital(remedy))))));
}

// table is the picture for those who can't see it, or would rather read.
export function table(picture) {
  const column = (name) => h('th', { scope: 'col' }, name);
  const agents = [...picture.servers.map((s) => s.agent).filter(Boolean), ...picture.others];
  const from = new Map(picture.links.map((l) => [l.to, l.from]));
  return [
    h('table', { key: 'servers' }, h('caption', null, 'Servers'),
      h('thead', null, h('tr', null, ['Server', 'Role', 'State', 'Fed by', 'Agent beside it'].map(column))),
      h('tbody', null, picture.servers.map((s) => h('tr', { key: s.addr },
        h('th', { scope: 'row' }, h('code', null, s.addr)), h('td', null, s.role),
        h('td', null, s.lines.map((l) => h('div', null, words(l.tone, l.more ? `${l.text}: ${l.more}` : l.text)))),
        h('td', null, from.get(s.addr) ?? '–'), h('td', null, s.agent?.id ?? '–'))))),
    h('table', { key: 'agents' }, h('caption', null, 'Agents'),
      h('thead', null, h('tr', null, ['Agent', 'State', 'Epoch', 'Zone'].map(column))),
      h('tbody', null, agents.map((a) => h('tr', { key: a.id },
        h('th', { scope: 'row' }, a.id), h('td', null, words(a.tone, [a.word || 'up', a.self && 'asked', a.witness && 'witness', !a.voter && 'does not vote yet'].filter(Boolean).join(', '))),
        h('td', null, a.epoch), h('td', null, a.zone || '–'))))),
  ];
}

// failover is one of the past, or the one that runs: a bar of phases, its steps, and the why beneath.
export function failover(record, quorum, newest) {
  const t = timeline(record, quorum);
  const id = `failover-${record.id}`;
  return h('article', { key: record.id, class: 'failover', 'aria-labelledby': id },
    h('h4', { id }, words(t.tone, t.title), ' ', h('span', { class: 'move' }, h('code', null, record.old), record.target && [' → ', h('code', null, record.target)])),
    h('p', { class: 'quiet' }, `${date(t.begun)} · epoch ${record.epoch}`, t.waited != null && [' · ', h('b', null, duration(t.waited)), record.hand_over ? ' in which writers waited' : ' until clients were told']),
    bar(t),
    h('details', { key: 'steps', open: newest }, h('summary', null, 'Steps'),
      h('ol', { class: 'steps' }, t.steps.map((s, i) => h('li', { key: i }, h('span', { class: 'at' }, `+${duration(s.at)}`), h('b', null, s.name), h('span', null, s.text))))),
    h('details', { key: 'why' }, h('summary', null, 'Why'), h('dl', { class: 'why' }, story(record).map(([name, text], i) => h('div', { key: i }, h('dt', null, name), h('dd', null, text))))));
}

// bar shows the phases, each part in a scale of its own: what clients wait for is short beside the rest.
function bar(t) {
  return h('div', { class: 'bar', role: 'img', 'aria-label': t.phases.map((p) => `${p.name} ${duration(p.to - p.from)}`).join(', ') },
    t.parts.map((part) => h('div', { key: part.part, class: `part ${part.part}` },
      h('div', { class: 'phases' }, part.phases.map((p) => h('div', { key: p.name, class: 'phase', title: `${p.name}: ${duration(p.to - p.from)}`, style: { 'flex-grow': String(p.to - p.from || 0.01) } },
        h('span', null, p.name)))),
      h('div', { class: 'length' }, `${part.name} `, h('b', null, duration(part.length))))));
}

// event is a line of the stream.
export function event(e, several) {
  const { tone, text } = tell(e);
  return h('li', { key: e.id, class: 'event' },
    h('time', { datetime: new Date(e.at).toISOString(), title: date(e.at) }, clock(e.at)),
    h('div', null,
      h('p', null, h('span', { class: `words ${tone}` }, icon(tone), ' ', h('b', null, kind(e)))),
      h('p', { class: 'quiet' }, several && e.master && h('b', { class: 'of' }, `${e.master} `), text)));
}
