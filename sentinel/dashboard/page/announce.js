// What a screen reader is told of events: no more often than it can speak. Pure but for the timer.

const every = 4000; // ms between announcements

// digest says in a sentence what has come since the last one. Pure.
export function digest(texts) {
  if (texts.length === 1) return texts[0];
  return `${texts.length} events. The last: ${texts.at(-1)}`;
}

// Announcer hands sentences to say, at most one each few seconds; what comes meanwhile is told together.
export class Announcer {
  constructor(say, now = () => performance.now()) {
    Object.assign(this, { say, now, waiting: [], last: -Infinity, timer: 0 });
  }

  tell(text) {
    this.waiting.push(text);
    if (this.timer) return;
    this.timer = setTimeout(() => this.flush(), Math.max(0, this.last + every - this.now()));
  }

  // tellNow does not wait: what was to be told before is overtaken.
  tellNow(text) {
    clearTimeout(this.timer);
    this.waiting = [text];
    this.flush();
  }

  flush() {
    this.timer = 0;
    this.last = this.now();
    this.say(digest(this.waiting.splice(0)));
  }
}
