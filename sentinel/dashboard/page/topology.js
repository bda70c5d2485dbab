// The picture of a master: what is to be shown of each server, and where. Pure.

import { bytes, count, duration, list, moment, shorten } from './format.js';

// tones are what a colour means; each goes with a shape of its own and a word, so that nobody needs the colour.
export const shapes = { good: 'disc', warn: 'triangle', bad: 'cross', unknown: 'ring' };

const worse = ['good', 'unknown', 'warn', 'bad'];

// worst gives the most serious of some tones.
export function worst(tones) {
  return tones.reduce((a, b) => (worse.indexOf(b) > worse.indexOf(a) ? b : a), 'good');
}

// describe tells of one master of a status: its servers, with the agents beside them, the links between them, and how it is as a whole.
export function describe(status, master) {
  const target = master.failover?.target ?? '';
  const servers = [
    describeMaster(status, master),
    ...master.replicas.map((r) => describeReplica(status, master, r)),
  ];
  for (const s of servers) {
    s.chosen = s.addr === target;
    s.tone = worst(s.lines.map((l) => l.tone));
  }
  const known = new Set(servers.map((s) => s.addr));
  return {
    servers,
    links: master.replicas.map((r) => link(r, master.server, known)).filter((l) => l),
    others: status.agents.filter((a) => !known.has(a.local)).map(agent),
    ...headline(status, master),
  };
}

function describeMaster(status, master) {
  const lines = [state(master.server)];
  if (master.server.state === 'up') {
    const role = master.server.last?.role;
    if (role && role !== 'master') lines.push({ tone: 'bad', text: 'says it is a replica' });
    if (master.server.last?.loading) lines.push({ tone: 'warn', text: 'loads its data' });
  }
  lines.push(lease(status, master));
  return { addr: master.server.addr, role: 'master', lines, agent: beside(status, master.server.addr) };
}

function describeReplica(status, master, server) {
  const lines = [state(server)];
  const last = server.last;
  if (server.state === 'up' && last) {
    if (last.role === 'master') {
      lines.push({ tone: 'warn', text: 'says it is a master' });
    } else {
      lines.push(following(master, server));
    }
  }
  return { addr: server.addr, role: 'replica', lines, agent: beside(status, server.addr) };
}

function state(server) {
  switch (server.state) {
    case 'up':
      return { tone: 'good', text: 'up' };
    case 'down':
      return { tone: 'bad', text: server.evidence ? `down: ${evidence(server.evidence)}` : 'down' };
  }
  return { tone: 'unknown', text: 'not seen yet' };
}

const evidences = {
  refused: 'refuses connections', 'timed-out': 'no answer', unreachable: 'unreachable', 'bad-reply': 'no valid answer',
  'wrong-role': 'is a replica', 'still-loading': 'loads its data',
};

function evidence(word) {
  return evidences[word] ?? word;
}

function following(master, server) {
  const last = server.last;
  const lag = server.lag >= 0 ? `, ${bytes(server.lag)} behind` : '';
  if (last.syncing) return { tone: 'warn', text: 'gets a full copy' };
  if (last.master !== master.server.addr) {
    return { tone: 'warn', text: last.master === nobody ? 'detached' : `follows ${last.master || 'nobody'}` };
  }
  return last.link_up ? { tone: 'good', text: `linked${lag}` } : { tone: 'warn', text: `link down${lag}` };
}

// nobody is where a server is sent that is cut from its master.
const nobody = '127.0.0.1:1';

// ownLease is what the asked agent knows of the master's lease because it is beside it; null: it is not.
function ownLease(status, master) {
  return status.lease?.server === master.server.addr ? status.lease : null;
}

// lease tells what keeps another server from being promoted while the master lives.
function lease(status, master) {
  const own = ownLease(status, master);
  const at = moment(status.at);
  const left = (until) => duration(Math.max(0, moment(until) - at));
  if (own?.fenced || master.server.fenced) {
    return { tone: 'bad', text: 'fenced: takes no writes', more: own?.fenced };
  }
  if (own?.until) return { tone: 'good', text: 'lease held', detail: `held, ${left(own.until)} left` };
  if (own?.released) return { tone: 'warn', text: 'lease released', more: own.released };
  if (own) return { tone: 'warn', text: 'lease not held' };
  if (master.promise?.until) {
    return { tone: 'good', text: 'lease promised', detail: `promised to ${master.promise.agent}, ${left(master.promise.until)} left` };
  }
  if (master.promise?.released) return { tone: 'warn', text: 'lease released', more: master.promise.released };
  return beside(status, master.server.addr)
    ? { tone: 'unknown', text: 'no lease is known', detail: 'not known' }
    : { tone: 'unknown', text: 'no agent beside it: no lease', detail: 'none: no agent is beside it' };
}

function beside(status, addr) {
  const found = status.agents.find((a) => a.local === addr);
  return found ? agent(found) : null;
}

function agent(a) {
  const leads = a.role === 'leader';
  return {
    id: a.id, up: a.up, leads, self: Boolean(a.self), zone: a.zone ?? '', voter: a.voter, witness: Boolean(a.witness), local: a.local ?? '', epoch: a.epoch,
    tone: a.up ? 'good' : 'bad', word: a.up ? (leads ? 'leads' : '') : 'not heard',
  };
}

// link is how data comes to a replica; null: it doesn't, or from a server that is not in the picture.
function link(server, master, known) {
  const last = server.last;
  if (!last || last.role === 'master' || !last.master || !known.has(last.master) || last.master === server.addr) return null;
  const alive = server.state === 'up' && last.link_up;
  const kind = alive ? (last.syncing ? 'syncing' : 'live') : 'down';
  return { from: last.master, to: server.addr, kind };
}

// headline says in a sentence how a master is.
function headline(status, master) {
  const sentence = (tone, text, more) => ({ tone, sentence: text, more });
  const verdict = master.verdict;
  if (!status.majority) {
    return sentence('bad', 'No majority of agents is in touch, so nothing can be decided.', 'Start agents, or repair the network between them.');
  }
  if (master.failover) return running(master.failover, master.blocker);
  if (master.blocker) return sentence('bad', `Blocked: ${master.blocker.text}.`, master.blocker.remedy);
  if (master.objectively_down) return sentence('bad', 'The master is down.', verdict.text);
  const own = ownLease(status, master);
  if (master.server.fenced || own?.fenced) return sentence('bad', 'The master is fenced, and takes no writes.', own?.fenced);
  if (verdict.code !== 'Healthy') return sentence('warn', `${verdict.text}.`, null);
  const follow = master.replicas.filter((r) => r.state === 'up' && r.last?.link_up && r.last.master === master.server.addr).length;
  if (follow < master.replicas.length) {
    const all = count(master.replicas.length, 'replica');
    return sentence('warn', `The master is well; ${follow} of ${all} ${follow === 1 ? 'follows' : 'follow'} it.`, null);
  }
  if (master.replicas.length === 0) return sentence('warn', 'The master is well, but has no replica: nobody could take over.', null);
  return sentence('good', `All is well: the master answers, and ${replicas(follow)} it.`, null);
}

function replicas(n) {
  if (n === 1) return 'its replica follows';
  return n === 2 ? 'both replicas follow' : `all ${n} replicas follow`;
}

function running(record, blocker) {
  const what = record.hand_over ? 'Switchover' : 'Failover';
  const steps = {
    begun: record.hand_over ? 'waits for a replica that is close behind' : 'replicas are detached and read',
    promoting: `${record.target} is promoted`,
    switched: `${record.target} is the master, the others are told to follow it`,
  };
  if (blocker) return { tone: 'bad', sentence: `${what} waits: ${blocker.text}.`, more: blocker.remedy };
  return { tone: 'warn', sentence: `${what} in progress: ${steps[record.phase] ?? record.phase}.`, more: null };
}

// rank is a tone for a list of masters, and the word beside it.
export function rank(status, master) {
  const { tone } = headline(status, master);
  if (master.failover) return { tone, word: 'fails over' };
  if (master.paused && tone === 'good') return { tone: 'warn', word: 'paused' };
  const words = { good: 'well', warn: 'look', bad: 'trouble', unknown: 'unknown' };
  return { tone, word: master.blocker ? 'blocked' : words[tone] };
}

// summary is the picture in words.
export function summary(picture) {
  const [master, ...others] = picture.servers;
  const told = (s) => `${s.addr}: ${s.lines.map((l) => l.text).join(', ')}`;
  return `Master ${told(master)}. ${others.length ? `Replicas: ${list(others.map(told))}.` : 'No replica is known.'}`;
}

// Sizes, in the units of the drawing, which are pixels.
export const card = { width: 240, height: 132, strip: 32 };
const gap = { x: 28, y: 76, list: 18, trunk: 30 };
const chip = { width: 208, height: 34, gap: 12, above: 34 };
const narrow = 2 * card.width + gap.x;

// layout says where each server stands, and how the arrows run, in a drawing of a width.
export function layout(picture, width) {
  const { servers, links, others } = picture;
  const columns = Math.max(1, Math.floor((width + gap.x) / (card.width + gap.x)));
  const replicas = servers.length - 1;
  let placed;
  if (width < narrow) placed = column(servers, width);
  else if (replicas <= columns) placed = fan(servers, width);
  else placed = grid(servers, width);
  const at = new Map(placed.nodes.map((n) => [n.addr, n]));
  // Beside a trunk there is no room for arrows between replicas: the words tell whom they follow.
  const drawn = placed.trunk ? links.filter((l) => l.from === servers[0].addr) : links;
  const edges = drawn.map((l) => ({ ...l, ...placed.route(at.get(l.from), at.get(l.to)) }));
  const trunk = placed.trunk && edges.length > 0 ? placed.trunk(at.get(servers[0].addr), Math.max(...edges.map((e) => e.y))) : '';
  const bottom = Math.max(...placed.nodes.map((n) => n.y + n.height)) + (edges.some((e) => e.sags) ? 44 : 0);
  const { chips, height } = row(others, width, bottom);
  return { width, height, nodes: placed.nodes, edges, trunk, chips };
}

const size = (width = card.width) => ({ width, height: card.height });

// fan: the master above, its replicas side by side.
function fan(servers, width) {
  const [master, ...replicas] = servers;
  const across = replicas.length * (card.width + gap.x) - gap.x;
  const left = (width - across) / 2;
  const nodes = [{ addr: master.addr, x: (width - card.width) / 2, y: 0, ...size() }];
  replicas.forEach((r, i) => {
    nodes.push({ addr: r.addr, x: left + i * (card.width + gap.x), y: card.height + gap.y, ...size() });
  });
  return { nodes, route };
}

function route(from, to) {
  const [x1, x2] = [from.x + from.width / 2, to.x + to.width / 2];
  if (from.y === to.y) { // a replica of a replica
    const y = from.y + from.height;
    return { d: `M${x1} ${y}C${x1} ${y + 48} ${x2} ${y + 48} ${x2} ${y + 8}`, sags: true };
  }
  const [y1, y2] = from.y < to.y ? [from.y + from.height, to.y - 8] : [from.y, to.y + to.height + 8];
  const middle = (y1 + y2) / 2;
  return { d: `M${x1} ${y1}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2}` };
}

// grid: too many replicas for one row; a trunk on the left leads to all rows.
function grid(servers, width) {
  const [master, ...replicas] = servers;
  const columns = Math.max(1, Math.floor((width - gap.trunk + gap.x) / (card.width + gap.x)));
  const rows = gap.y / 1.6;
  const nodes = [{ addr: master.addr, x: gap.trunk, y: 0, ...size() }];
  replicas.forEach((r, i) => {
    const [x, y] = [i % columns, Math.floor(i / columns)];
    nodes.push({ addr: r.addr, x: gap.trunk + x * (card.width + gap.x), y: (y + 1) * (card.height + rows), ...size() });
  });
  const bus = (_, to) => {
    const [x, y] = [to.x + to.width / 2, to.y - rows / 2];
    return { d: `M${gap.trunk / 3} ${y}H${x}V${to.y - 8}`, y };
  };
  return { nodes, route: bus, trunk };
}

// column: one below the other, with the trunk on the left.
function column(servers, width) {
  const nodes = servers.map((s, i) => ({ addr: s.addr, x: gap.trunk, y: i * (card.height + gap.list), ...size(width - gap.trunk - 2) }));
  const branch = (_, to) => {
    const y = to.y + to.height / 2;
    return { d: `M${gap.trunk / 3} ${y}H${to.x - 8}`, y };
  };
  return { nodes, route: branch, trunk };
}

// trunk is the line from the master down to the last branch.
function trunk(from, y) {
  return `M${from.x} ${from.y + from.height / 2}H${gap.trunk / 3}V${y}`;
}

// row places the agents that are beside none of the servers.
function row(agents, width, bottom) {
  if (agents.length === 0) return { chips: [], height: bottom + 2 };
  const columns = Math.max(1, Math.floor((width + chip.gap) / (chip.width + chip.gap)));
  const chips = agents.map((a, i) => ({
    id: a.id, x: (i % columns) * (chip.width + chip.gap), y: bottom + chip.above + Math.floor(i / columns) * (chip.height + chip.gap),
    width: Math.min(chip.width, width), height: chip.height,
  }));
  return { chips, height: chips.at(-1).y + chip.height + 2 };
}

// fit shortens a text so that it goes into a width, at a size of letters.
export function fit(text, width, letter) {
  return shorten(text, Math.max(4, Math.floor(width / letter)));
}
