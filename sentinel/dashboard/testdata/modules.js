// Tests of the modules that only reckon. run gives what is wrong, a line each; nothing: all is well.

import { backOff, Parser } from '/dashboard/stream.js';
import { digest } from '/dashboard/announce.js';
import { fromStatus, fromStream, merge, steps, strangers, tell } from '/dashboard/events.js';
import { bytes, duration, list, moment, shorten } from '/dashboard/format.js';
import { story, timeline } from '/dashboard/timeline.js';
import { card, describe, layout, rank, summary } from '/dashboard/topology.js';

const tests = {};
let wrong = [];

function equal(got, want, what) {
  const [g, w] = [JSON.stringify(got), JSON.stringify(want)];
  if (g !== w) wrong.push(`${what}: got ${g}, want ${w}`);
}

export function run() {
  const report = [];
  for (const [name, test] of Object.entries(tests)) {
    wrong = [];
    try {
      test();
    } catch (error) {
      wrong.push(error.stack);
    }
    report.push(...wrong.map((w) => `${name}: ${w}`));
  }
  return { tests: Object.keys(tests).length, wrong: report };
}

tests['moments keep what a Date drops'] = () => {
  equal(moment('2026-01-02T03:04:05.678912345Z') - Date.UTC(2026, 0, 2, 3, 4, 5), 678.912353515625, 'fraction');
  equal(moment('2026-01-02T05:04:05+02:00'), Date.UTC(2026, 0, 2, 3, 4, 5), 'zone');
  equal([moment(''), moment(undefined), moment('soon')], [0, 0, 0], 'none');
};

tests['numbers in words'] = () => {
  equal([0.46, 9.99, 42.4, 1500, 90e3, 5400e3, 9e8].map(duration), ['0.5 ms', '10.0 ms', '42 ms', '1.5 s', '2 min', '2 h', '10 days'], 'duration');
  equal([0, 999, 1024, 15e3, 5e9].map(bytes), ['0 B', '999 B', '1.0 KiB', '15 KiB', '4.7 GiB'], 'bytes');
  equal([list([]), list(['a']), list(['a', 'b', 'c'])], ['', 'a', 'a, b and c'], 'list');
  equal([shorten('abcdef', 6), shorten('abcdefg', 6)], ['abcdef', 'abc…fg'].map((s, i) => (i ? 'ab…efg' : s)), 'shorten');
};

// The stream, cut anywhere, gives the same messages.
tests['a stream in pieces'] = () => {
  const text = ': hello\n\nid: 7\nevent: failover.begun\ndata: {"a":\ndata: 1}\n\ndata: more\r\n\r\nid: 8\n\ndata\n\nevent: gap\ndata: x\n\n';
  const want = [
    { id: '7', event: 'failover.begun', data: '{"a":\n1}' }, { id: '7', event: 'message', data: 'more' }, { id: '8', event: 'message', data: '' },
    { id: '8', event: 'gap', data: 'x' },
  ];
  for (let cut = 0; cut <= text.length; cut++) {
    const parser = new Parser();
    equal([...parser.feed(text.slice(0, cut)), ...parser.feed(text.slice(cut))], want, `cut at ${cut}`);
  }
  let refused = false;
  try {
    new Parser().feed('x'.repeat((1 << 20) + 1));
  } catch {
    refused = true;
  }
  equal(refused, true, 'a line without end is refused');
};

tests['tries are further and further apart'] = () => {
  equal([1, 2, 3, 4, 5, 6, 60].map((n) => backOff(n, 0.5)), [500, 1000, 2000, 4000, 8000, 15000, 15000], 'in the middle');
  equal([backOff(1, 0), backOff(1, 1)], [375, 625], 'by chance');
};

tests['what a screen reader is told'] = () => {
  equal([digest(['one']), digest(['one', 'two', 'three'])], ['one', '3 events. The last: three'], 'digest');
};

const event = (id, type, data = {}, master = 'm') => ({ id, type, master, epoch: 2, at: '2026-01-02T03:04:05Z', data });

tests['events'] = () => {
  const body = { id: 'lab-9', type: 'io.picket.failover.switched.v1', subject: 'm', epoch: '2', time: '2026-01-02T03:04:05Z', data: { to: 'b:1' } };
  const streamed = fromStream({ id: '9', event: 'failover.switched', data: JSON.stringify(body) });
  equal(streamed, fromStatus(event(9, 'failover.switched', { to: 'b:1' })), 'the same from both');
  equal(tell(streamed), { tone: 'good', text: 'b:1 is the master; clients are told' }, 'in words');
  equal(tell({ type: 'never.seen', data: {} }), { tone: 'unknown', text: '' }, 'of a newer agent');
  const all = merge([3, 2].map((id) => event(id, 'x')), [4, 3].map((id) => event(id, 'x')), 2);
  equal(all.map((e) => e.id), [4, 3], 'merged');
  const log = (from, to, at = 0) => Array.from({ length: to - from + 1 }, (_, i) => ({ id: to - i, at }));
  equal([strangers(log(5, 9), log(3, 8)), strangers(log(5, 9), log(10, 12)), strangers([], log(1, 2)), strangers(log(5, 9), [])], [false, false, false, false], 'of one log, late or new');
  equal([strangers(log(5, 9), log(1, 6, 7)), strangers(log(5, 9), log(1, 3))], [true, true], 'of another log');
  const mixed = [event(5, 'failover.ended'), event(4, 'failover.begun'), event(3, 'failover.begun'), event(6, 'failover.begun', {}, 'other'), event(7, 'pause.begun')];
  equal(steps(mixed, 'm', 3).map((e) => e.id), [4, 5], 'steps of one');
};

// A failover as the agents record it: times in milliseconds after its day began.
const at = (ms) => new Date(Date.UTC(2026, 0, 2) + ms).toISOString();
const crash = () => ({
  id: 9, master: 'm', epoch: 2, phase: 'ended', outcome: 'done', cause: 'master-down', old: 'a:1', target: 'b:1', evidence: 'agents find a:1 dead', code: 'DeadMaster',
  rule: 'quorum-refused', offset: 100, old_offset: 107, why: 'it holds the most', chosen: 'it holds the most', leaders: [2], agents: ['agent-3'],
  seen: [['agent-1', 4], ['agent-2', 1], ['agent-3', 2]].map(([agent, ms]) => ({ agent, state: 'down', evidence: 'refused', since: at(ms) })),
  candidates: [{ server: 'b:1', offset: 100, read_at: at(20) }, { server: 'c:1', offset: 90, unfit: 'it holds less', read_at: at(22) }],
  down_at: at(1), begun_at: at(11), promote_at: at(23), switch_at: at(42), repointed: ['c:1', 'a:1'], repoint_at: [at(60), at(300)], end_at: at(311),
});

tests['the timeline of a crash'] = () => {
  const t = timeline(crash(), 2);
  equal(t.steps.map((s) => [s.name, s.at]), [['seen', 0], ['agreed', 1], ['elected', 10], ['cut', 21], ['chosen', 22], ['promoted', 41], ['re-pointed', 299], ['ended', 310]], 'steps');
  equal(t.phases.map((p) => [p.name, p.from, p.to]), [['agree', 0, 1], ['elect', 1, 10], ['cut and read', 10, 21], ['choose', 21, 22], ['promote', 22, 41],
    ['re-point', 41, 299], ['finish', 299, 310]], 'phases');
  equal(t.parts.map((p) => [p.part, p.length]), [['wait', 41], ['after', 269]], 'parts');
  equal([t.title, t.tone, t.waited], ['Failover', 'good', 41], 'outcome');
  const told = story(crash()).map((l) => l.join(': '));
  for (const want of ['Seen: DeadMaster by rule quorum-refused: agents find a:1 dead', 'agent-1: down, refused at +3.0 ms', 'Chosen: b:1: it holds the most', 'Not: c:1: it holds less',
    'Lacking: 7 B of what was last seen on a:1']) {
    if (!told.includes(want)) wrong.push(`the story lacks "${want}": ${told.join(' | ')}`);
  }
};

tests['clocks that differ do not turn a bar around'] = () => {
  const record = { ...crash(), promote_at: at(5), seen: [] };
  const t = timeline(record, 2);
  equal(t.phases.every((p) => p.to >= p.from), true, 'no phase of a negative length');
};

tests['the timeline of a switchover'] = () => {
  const record = { ...crash(), hand_over: true, cause: 'manual', evidence: 'ordered by ann', seen: [], down_at: undefined, held_at: at(30) };
  const t = timeline(record, 2);
  equal(t.steps.map((s) => [s.name, s.at]), [['begun', 0], ['chosen', 12], ['held', 19], ['promoted', 31], ['re-pointed', 289], ['ended', 300]], 'steps');
  equal(t.parts.map((p) => [p.part, p.length]), [['before', 19], ['wait', 12], ['after', 269]], 'clients wait from when they are held');
  equal([t.title, t.waited], ['Switchover', 12], 'outcome');
  equal(story(record)[0], ['Ordered', 'ordered by ann'], 'story');
};

tests['what only events tell of a switchover of long ago'] = () => {
  const record = { ...crash(), cause: 'manual', evidence: 'ordered by ann', seen: undefined, candidates: undefined, down_at: undefined, agents: undefined };
  const t = timeline(record, 2);
  equal([t.waited, t.parts.map((p) => p.part)], [null, ['before', 'after']], 'nobody knows how long clients waited');
  equal([t.steps[0].name, story({ ...record, lost_bytes: 0 }).map((l) => l.join(': ')).includes('Lost: nothing, as a:1 has shown since')], ['begun', true], 'told all the same');
};

tests['a failover that runs, and one that was given up'] = () => {
  const running = { ...crash(), phase: 'begun', outcome: undefined, target: undefined, candidates: undefined, promote_at: undefined, switch_at: undefined, repointed: undefined, repoint_at: undefined, end_at: undefined };
  equal([timeline(running, 2).title, timeline(running, 2).waited, timeline(running, 2).steps.length], ['Failover in progress', null, 3], 'running');
  const aborted = { ...running, phase: 'ended', outcome: 'aborted', why: 'no replica', end_at: at(900) };
  const t = timeline(aborted, 2);
  equal([t.title, t.waited, t.steps.at(-1).name, t.steps.at(-1).at], ['Failover given up', null, 'given up', 899], 'given up');
};

// A status as an agent gives it.
const server = (addr, more = {}) => ({ addr, state: 'up', down: false, lag: -1, ...more, last: more.last === null ? undefined : { role: 'master', master: '', link_up: false, syncing: false, ...more.last } });
const replica = (addr, of, more = {}) => server(addr, { lag: 0, ...more, last: more.last === null ? null : { role: 'slave', master: of, link_up: true, ...more.last } });
const agents = (n) => Array.from({ length: n }, (_, i) => ({ id: `agent-${i + 1}`, up: true, role: i === 1 ? 'leader' : 'follower', voter: true, epoch: 2, local: `10.0.0.${i + 1}:6379`, self: i === 0 }));
const group = (master, more = {}) => ({ at: at(0), cluster: 'lab', agent: 'agent-1', majority: true, leader: 'agent-2', agents: agents(3), masters: [master], events: [], pauses: [], ...more });
const watched = (more = {}) => ({
  name: 'm', epoch: 2, quorum: 2, objectively_down: false, verdict: { code: 'Healthy', text: 'the master answers' }, server: server('10.0.0.1:6379'),
  replicas: [replica('10.0.0.2:6379', '10.0.0.1:6379', { lag: 12 }), replica('10.0.0.3:6379', '10.0.0.1:6379')], ...more,
});
const shown = (master, more) => describe(group(master, more), master);
const lines = (picture, i) => picture.servers[i].lines.map((l) => `${l.tone} ${l.text}`);

tests['a master that is well'] = () => {
  const p = shown(watched({ promise: { agent: 'agent-1', until: at(250) } }));
  equal([p.tone, p.sentence], ['good', 'All is well: the master answers, and both replicas follow it.'], 'headline');
  equal(lines(p, 0), ['good up', 'good lease promised'], 'master');
  equal(lines(p, 1), ['good up', 'good linked, 12 B behind'], 'replica');
  equal(p.links, [{ from: '10.0.0.1:6379', to: '10.0.0.2:6379', kind: 'live' }, { from: '10.0.0.1:6379', to: '10.0.0.3:6379', kind: 'live' }], 'links');
  equal(p.servers.map((s) => [s.agent.id, s.agent.word, s.agent.self]), [['agent-1', '', true], ['agent-2', 'leads', false], ['agent-3', '', false]], 'agents beside them');
  equal(p.others, [], 'others');
  equal(summary(p), 'Master 10.0.0.1:6379: up, lease promised. Replicas: 10.0.0.2:6379: up, linked, 12 B behind and 10.0.0.3:6379: up, linked, 0 B behind.', 'in words');
};

tests['what is wrong with servers has a tone and a word'] = () => {
  const m = '10.0.0.1:6379';
  const one = (r) => lines(shown(watched({ replicas: [r] })), 1);
  equal(one(server('b:1', { state: 'down', evidence: 'timed-out', last: null })), ['bad down: no answer'], 'down');
  equal(one(server('b:1', { state: 'unknown', last: null })), ['unknown not seen yet'], 'unknown');
  equal(one(replica('b:1', m, { last: { link_up: false } })), ['good up', 'warn link down, 0 B behind'], 'link');
  equal(one(replica('b:1', m, { last: { syncing: true } })), ['good up', 'warn gets a full copy'], 'syncing');
  equal(one(replica('b:1', '127.0.0.1:1')), ['good up', 'warn detached'], 'cut');
  equal(one(replica('b:1', 'c:1')), ['good up', 'warn follows c:1'], 'astray');
  equal(one(server('b:1')), ['good up', 'warn says it is a master'], 'two masters');
};

tests['leases and fences'] = () => {
  const own = (lease) => lines(shown(watched(), { lease: { server: '10.0.0.1:6379', master: 'm', ...lease } }), 0).at(-1);
  equal(own({ until: at(900) }), 'good lease held', 'held');
  equal(own({ fenced: 'the lease is lost' }), 'bad fenced: takes no writes', 'fenced');
  equal(own({ released: 'its Redis is down' }), 'warn lease released', 'released');
  equal(own({}), 'warn lease not held', 'not held');
  const other = shown(watched({ server: server('10.0.0.1:6379', { fenced: true }) }), { lease: { server: '10.0.0.2:6379', master: 'm', fenced: 'it is no master' } });
  equal([lines(other, 0).at(-1), other.sentence, other.more], ['bad fenced: takes no writes', 'The master is fenced, and takes no writes.', undefined], 'as another agent sees it');
  equal(lines(shown(watched(), { agents: [] }), 0).at(-1), 'unknown no agent beside it: no lease', 'nobody beside it');
  const replica = shown(watched(), { lease: { server: '10.0.0.2:6379', master: 'm', fenced: 'the master is 10.0.0.1:6379' } });
  equal([lines(replica, 1).some((l) => l.includes('fenced')), replica.tone], [false, 'good'], 'that a replica may not become a master by itself is no trouble');
};

tests['headlines, from bad to good'] = () => {
  const blocker = { reason: 'no-quorum', text: 'too few agents speak', remedy: 'start them' };
  for (const [master, more, want] of [
    [watched({ blocker }), { majority: false }, 'bad No majority'], [watched({ blocker }), {}, 'bad Blocked: too few agents speak.'],
    [watched({ failover: { phase: 'promoting', target: 'b:1' }, blocker: null }), {}, 'warn Failover in progress: b:1 is promoted.'],
    [watched({ failover: { phase: 'begun' }, blocker }), {}, 'bad Failover waits: too few agents speak.'],
    [watched({ objectively_down: true, verdict: { code: 'DeadMaster', text: 'x' } }), {}, 'bad The master is down.'],
    [watched({ verdict: { code: 'SuspectedMaster', text: 'one agent finds it down' } }), {}, 'warn one agent finds it down.'],
    [watched({ replicas: [] }), {}, 'warn The master is well, but has no replica'],
  ]) {
    const p = shown(master, more);
    const got = `${p.tone} ${p.sentence}`;
    if (!got.startsWith(want)) wrong.push(`got ${got}, want ${want}`);
  }
  const status = group(watched({ paused: { until: at(1) } }));
  equal(rank(status, status.masters[0]), { tone: 'warn', word: 'paused' }, 'in the list');
};

tests['agents beside no server of the master'] = () => {
  const p = shown(watched(), { agents: [...agents(3), { id: 'w', up: false, role: '', voter: true, witness: true, epoch: 0 }] });
  equal(p.others.map((a) => [a.id, a.tone, a.word]), [['w', 'bad', 'not heard']], 'a witness that is not heard');
  equal(layout(p, 800).chips.length, 1, 'it is placed');
};

// Whatever the number of servers and the width, nothing overlaps and nothing sticks out.
tests['layouts'] = () => {
  for (const width of [260, 324, 500, 530, 760, 1000]) {
    for (let n = 0; n <= 12; n++) {
      const replicas = Array.from({ length: n }, (_, i) => replica(`10.0.1.${i}:6379`, '10.0.0.1:6379'));
      const picture = shown(watched({ replicas }), { agents: [...agents(3), { id: 'w', up: true, witness: true, voter: true }] });
      const plan = layout(picture, width);
      const boxes = [...plan.nodes, ...plan.chips];
      for (const [i, a] of boxes.entries()) {
        if (a.x < 0 || a.y < 0 || a.x + a.width > width || a.y + a.height > plan.height) wrong.push(`${n} replicas in ${width}: ${JSON.stringify(a)} sticks out`);
        for (const b of boxes.slice(i + 1)) {
          if (a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height) wrong.push(`${n} replicas in ${width}: ${JSON.stringify([a, b])} overlap`);
        }
      }
      equal(plan.nodes.length, n + 1, `${n} replicas in ${width}: nodes`);
      equal(plan.edges.length, n, `${n} replicas in ${width}: arrows`);
    }
  }
  const chain = shown(watched({ replicas: [replica('b:1', '10.0.0.1:6379'), replica('c:1', 'b:1')] }));
  equal(layout(chain, 800).edges.map((e) => [e.from, Boolean(e.sags)]), [['10.0.0.1:6379', false], ['b:1', true]], 'a replica of a replica');
  equal(layout(chain, 300).edges.length, 1, 'told in words only where there is no room');
  equal(card.width < 260, true, 'a card fits the narrowest page');
};
