// A failover as a bar of phases, and its story. Pure.

import { bytes, duration, moment } from './format.js';

// timeline tells of a failover: when each step was done, in milliseconds since the first, and the phases between them. quorum is how many
// agents must agree that a master is down.
export function timeline(record, quorum) {
  const steps = ordered(record) ? handedOver(record) : failedOver(record, quorum);
  const zero = steps[0].at;
  let last = zero;
  const phases = [];
  for (const step of steps) {
    step.at = Math.max(last, step.at); // they are of several clocks
    if (step.phase) phases.push({ name: step.phase, part: step.part, from: last - zero, to: step.at - zero });
    last = step.at;
  }
  return {
    begun: zero,
    steps: steps.map((s) => ({ name: s.name, at: s.at - zero, text: s.text })),
    phases,
    parts: parts(phases),
    ...outcome(record, phases),
  };
}

// ordered says whether the master lived, as far as is known: of what is long ago, only the events are left.
function ordered(record) {
  return record.hand_over || (record.cause === 'manual' && !record.down_at);
}

// Clients wait in one part of a failover; nobody does before and after it.
const partNames = { before: 'Prepared', wait: 'Clients waited', after: 'Tidied up' };

function parts(phases) {
  return Object.entries(partNames).map(([part, name]) => {
    const list = phases.filter((p) => p.part === part);
    return { part, name, phases: list, length: list.length ? list.at(-1).to - list[0].from : 0 };
  }).filter((p) => p.phases.length > 0);
}

// done leaves out the steps of which there is no time.
function done(steps) {
  return steps.filter((s) => s.at > 0);
}

function failedOver(record, quorum) {
  const seen = (record.seen ?? []).filter((w) => w.state === 'down').map((w) => moment(w.since)).sort((a, b) => a - b);
  const first = Math.min(...seen, moment(record.down_at) || Infinity, moment(record.begun_at));
  const read = Math.max(0, ...(record.candidates ?? []).map((c) => moment(c.read_at)));
  return done([
    { at: first, name: 'seen', text: seen.length ? `${record.old} is found down` : 'ordered' },
    seen.length >= quorum && { at: seen[quorum - 1], name: 'agreed', phase: 'agree', part: 'wait', text: 'a quorum of agents finds it down' },
    { at: moment(record.begun_at), name: 'elected', phase: 'elect', part: 'wait', text: `${leader(record, 0)} leads in epoch ${record.leaders?.[0] ?? record.epoch}, for this failover` },
    { at: read, name: 'cut', phase: 'cut and read', part: 'wait', text: 'replicas are detached from the old master and read' },
    { at: moment(record.promote_at), name: 'chosen', phase: 'choose', part: 'wait', text: `${record.target} is chosen` },
    { at: moment(record.switch_at), name: 'promoted', phase: 'promote', part: 'wait', text: `${record.target} is the master; clients are told` },
    ...ending(record),
  ]);
}

function handedOver(record) {
  return done([
    { at: moment(record.begun_at), name: 'begun', text: `${leader(record, 0)} leads in epoch ${record.leaders?.[0] ?? record.epoch}, for this order` },
    { at: moment(record.promote_at), name: 'chosen', phase: 'choose', part: 'before', text: `${record.target} is chosen` },
    { at: moment(record.held_at), name: 'held', phase: 'hold', part: 'before', text: 'writers wait until it has everything' },
    { at: moment(record.switch_at), name: 'promoted', phase: 'catch up and promote', part: record.held_at ? 'wait' : 'before', text: `${record.target} is the master; clients are told` },
    ...ending(record),
  ]);
}

function ending(record) {
  if (record.outcome === 'aborted') {
    return [{ at: moment(record.end_at), name: 'given up', phase: 'give up', part: ordered(record) ? 'after' : 'wait', text: record.why }];
  }
  const repointed = Math.max(0, ...(record.repoint_at ?? []).map(moment));
  return [
    { at: repointed, name: 're-pointed', phase: 're-point', part: 'after', text: `${(record.repointed ?? []).join(', ')} ${record.repointed?.length === 1 ? 'follows' : 'follow'} it` },
    { at: moment(record.end_at), name: 'ended', phase: 'finish', part: 'after', text: remark(record) },
  ];
}

function remark(record) {
  return record.why && record.why !== record.chosen ? record.why : 'nothing is left to do';
}

function outcome(record, phases) {
  const waited = phases.filter((p) => p.part === 'wait');
  const what = record.hand_over ? 'Switchover' : 'Failover';
  if (record.outcome === 'aborted') return { tone: 'warn', title: `${what} given up`, waited: null };
  const tone = record.phase === 'ended' ? 'good' : 'warn';
  const over = moment(record.switch_at) > 0;
  return { tone, title: over ? what : `${what} in progress`, waited: over && waited.length ? waited.at(-1).to - waited[0].from : null };
}

function leader(record, i) {
  return record.agents?.[i] || 'the leader';
}

// story says why what happened has happened.
export function story(record) {
  const lines = [];
  const zero = timeline(record, 1).begun;
  if (ordered(record)) lines.push(['Ordered', record.evidence]);
  else lines.push(['Seen', [record.code && `${record.code} by rule ${record.rule}`, record.evidence].filter(Boolean).join(': ')]);
  for (const w of record.seen ?? []) {
    if (record.hand_over) break;
    const when = w.state === 'down' ? ` at +${duration(Math.max(0, moment(w.since) - zero))}` : '';
    lines.push([w.agent, `${w.state}${w.evidence && w.state === 'down' ? `, ${w.evidence}` : ''}${when}`]);
  }
  const later = (record.leaders ?? []).length - 1;
  if (later > 0) lines.push(['Taken over', `${later === 1 ? 'once' : `${later} times`}; ${leader(record, later)} led last, in epoch ${record.leaders[later]}`]);
  if (record.target) lines.push(['Chosen', `${record.target}: ${record.chosen || record.why}`]);
  for (const c of record.candidates ?? []) {
    if (c.server !== record.target) lines.push(['Not', `${c.server}: ${c.unfit || `offset ${c.offset ?? 0}`}`]);
  }
  if (record.target && record.old_offset > 0 && !record.hand_over) {
    const lost = Math.max(0, record.old_offset - (record.offset ?? 0));
    lines.push(['Lacking', `${lost === 0 ? 'nothing' : bytes(lost)} of what was last seen on ${record.old}`]);
  }
  if (record.lost_bytes != null) lines.push(['Lost', `${record.lost_bytes === 0 ? 'nothing' : bytes(record.lost_bytes)}, as ${record.old} has shown since`]);
  if (record.allow_loss) lines.push(['Allowed', 'an operator accepted that writes may be lost']);
  if (record.outcome === 'aborted') lines.push(['Given up', record.why]);
  return lines.filter(([, text]) => text);
}
