// Committed events, as the stream or a status tells them, in words. Pure.

import { count, date, duration, moment } from './format.js';

// fromStatus reads an event of a status, fromStream one of the stream, which is a CloudEvent.
export function fromStatus(e) {
  return { id: e.id, type: e.type, master: e.master ?? '', epoch: e.epoch, at: moment(e.at), data: e.data ?? {} };
}

export function fromStream(message) {
  const e = JSON.parse(message.data);
  return {
    id: Number(message.id), type: String(e.type).replace(/^io\.picket\.|\.v\d+$/g, ''), master: e.subject ?? '', epoch: Number(e.epoch),
    at: moment(e.time), data: e.data ?? {},
  };
}

const telling = {
  'master.added': (d) => ['good', `at ${d.to}`],
  'master.removed': () => ['warn', 'it is not watched any more'],
  'master.changed': (d) => ['good', (d.changes ?? []).map((o) => o.name).join(', ')],
  'master.reset': (d) => ['good', d.replicas ? `${d.replicas.join(', ')} ${d.replicas.length === 1 ? 'is' : 'are'} forgotten` : 'nothing is forgotten'],
  'replica.added': (d) => ['good', `${d.replica}`],
  'replica.forgotten': (d) => ['warn', `${d.replica}`],
  'replica.moved': (d) => ['good', `from ${d.from} to ${d.replica}`],
  'agent.registered': (d) => ['good', `${d.agent}, for clients at ${d.host}:${d.port}`],
  'agent.removed': (d) => ['warn', `${d.agent}`],
  'failover.begun': (d) => [d.cause === 'manual' ? 'warn' : 'bad', `${d.evidence || d.cause}`],
  'failover.resumed': (d) => ['warn', d.agent ? `by ${d.agent}` : 'by another leader'],
  'failover.promoting': (d) => ['warn', `${d.to} is chosen: ${d.why}`],
  'failover.switched': (d) => ['good', `${d.to} is the master; clients are told`],
  'failover.repointed': (d) => ['good', `${d.replica} follows ${d.to}`],
  'failover.ended': (d) => ['good', d.why || (d.elapsed_ms ? `after ${duration(d.elapsed_ms)}` : '')],
  'failover.aborted': (d) => ['bad', `${d.why}`],
  'failover.acknowledged': (d) => ['good', `by ${d.who}`],
  'failover.allowed': (d) => ['warn', `${d.who} accepts that writes may be lost`],
  'failover.vetoed': (d) => ['bad', `${d.why}`],
  'failover.divergence': (d) => ['warn', d.known ? `${d.bytes} bytes of ${d.from} are lost` : `whether ${d.from} had more is not known: ${d.why}`],
  'switchover.scheduled': (d) => ['good', `for ${date(moment(d.until))}, by ${d.who}`],
  'switchover.cancelled': (d) => ['warn', d.who ? `by ${d.who}` : `${d.why}`],
  'pause.begun': (d) => ['warn', `by ${d.who}${d.why ? ` (${d.why})` : ''}, until ${date(moment(d.until))}`],
  'pause.ended': (d) => ['good', d.who ? `by ${d.who}` : 'its time is over'],
  'shadow.decided': (d) => ['warn', d.to ? `would promote ${d.to}` : 'would begin a failover'],
  'shadow.compared': (d) => ['good', `the other coordinator promoted ${d.to}; Picket would have promoted ${d.imagined || 'nobody'}`],
  'webhook.dead': (d) => ['warn', `${d.endpoint} was not told of ${d.event_type}: ${d.why}`],
  'webhook.disabled': (d) => ['warn', `${d.endpoint}: its receiver wants nothing more`],
  'webhook.enabled': (d) => ['good', `${d.endpoint}${d.who ? `, by ${d.who}` : ''}`],
  'webhook.dropped': (d) => ['warn', `${count(d.letters, 'dead letter')} of ${d.endpoint}${d.who ? `, by ${d.who}` : ''}`],
  'webhook.removed': (d) => ['good', `${d.endpoint}`],
};

// tell gives an event's tone and words.
export function tell(e) {
  const [tone, text] = telling[e.type]?.(e.data) ?? ['unknown', e.data.why ?? ''];
  return { tone, text };
}

// kind is what an event is, in words.
export function kind(e) {
  return e.type.replace('.', ' ');
}

// merge adds events that are newer to a list, newest first, of at most a number.
export function merge(list, events, most) {
  const known = new Set(list.map((e) => e.id));
  const all = [...events.filter((e) => !known.has(e.id)), ...list];
  return all.sort((a, b) => b.id - a.id).slice(0, most);
}

// strangers says whether events are of another log than those that are known, newest first: the group was founded anew. Of one log, events with the same id
// are the same, and what is told late is not older than all that is known.
export function strangers(known, events) {
  if (known.length === 0 || events.length === 0) return false;
  const at = new Map(known.map((e) => [e.id, e.at]));
  return events.some((e) => at.has(e.id) && at.get(e.id) !== e.at) || Math.max(...events.map((e) => e.id)) < known.at(-1).id;
}

// steps are a failover's own events, oldest first.
export function steps(list, master, after) {
  const mine = list.filter((e) => e.master === master && e.id > after && e.type.startsWith('failover.'));
  return mine.sort((a, b) => a.id - b.id);
}
