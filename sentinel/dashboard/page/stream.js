// The live stream of events (server-sent events). The browser's own EventSource can't send a token, so this one reads the answer itself.

// Parser takes the text of a stream in pieces and gives whole messages. Pure.
export class Parser {
  rest = '';
  message = { id: '', event: '', data: [] };

  feed(text) {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop();
    if (this.rest.length > longest) throw new Error('the stream has a line that is too long');
    return lines.map((l) => this.line(l.replace(/\r$/, ''))).filter((m) => m);
  }

  line(line) {
    if (line === '') return this.dispatch();
    const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (field === 'data') this.message.data.push(value);
    else if (field === 'id' || field === 'event') this.message[field] = value;
    return null;
  }

  dispatch() {
    const { id, event, data } = this.message;
    this.message = { id, event: '', data: [] }; // an id stays until the next one
    return data.length ? { id, event: event || 'message', data: data.join('\n') } : null;
  }
}

const longest = 1 << 20;

// backOff is how long to wait before the next try after so many that failed in a row: doubling, within limits, and with a share of
// chance, so that not all pages come back at once. Pure.
export function backOff(failures, random) {
  return Math.min(500 * 2 ** Math.min(failures - 1, 10), 15e3) * (0.75 + random / 2);
}

// patience is for how long a stream may be silent: the agent says something more often, if only that nothing has happened.
const patience = 45e3;

// steady is how long a connection must have lived for the next one to be tried soon: one that is ended at once, again and again, is a failure, too.
const steady = 5e3;

// Stream keeps a connection to the events as long as it is wanted. open begins a request for what is newer than an id; it gives the
// response. told is called with each message, and changed with the state: connecting, live, or waiting until a time, and why.
export class Stream {
  constructor({ open, told, changed }) {
    Object.assign(this, { open, told, changed, failures: 0, run: 0 });
  }

  // start connects; what was there before is given up.
  start() {
    this.stop();
    this.go(++this.run);
  }

  // stop gives the connection up.
  stop() {
    this.run++;
    clearTimeout(this.timer);
    this.abort?.abort();
  }

  async go(run) {
    const abort = (this.abort = new AbortController());
    this.changed({ state: 'connecting', failures: this.failures });
    let [why, refusal] = ['the agent has ended the stream', null];
    let live = Infinity; // since when
    try {
      const response = await this.open(abort.signal);
      if (run !== this.run) return;
      live = performance.now();
      this.changed({ state: 'live' });
      await this.read(response.body.getReader(), abort, run);
    } catch (error) {
      why = abort.signal.reason instanceof Error && abort.signal.reason.name !== 'AbortError' ? abort.signal.reason.message : error.message;
      refusal = error;
    }
    if (run !== this.run) return;
    if (performance.now() - live > steady) this.failures = 0;
    const wait = backOff(++this.failures, Math.random());
    this.timer = setTimeout(() => this.go(run), wait);
    this.changed({ state: 'waiting', until: Date.now() + wait, why, error: refusal, failures: this.failures });
  }

  async read(reader, abort, run) {
    const parser = new Parser();
    const decoder = new TextDecoder();
    for (;;) {
      const silence = setTimeout(() => abort.abort(new Error('the agent has said nothing for a while')), patience);
      const { done, value } = await reader.read().finally(() => clearTimeout(silence));
      if (done || run !== this.run) return;
      for (const message of parser.feed(decoder.decode(value, { stream: true }))) this.told(message);
    }
  }
}
