// Words for numbers and times. Pure.

// moment is an RFC 3339 time in milliseconds since 1970, with what a Date would drop; 0: there is none.
export function moment(text) {
  const m = /^(.*?)(\.\d+)?(Z|[+-]\d\d:\d\d)$/.exec(text ?? '');
  return m ? Date.parse(m[1] + m[3]) + Number(m[2] ?? 0) * 1000 : 0;
}

export function duration(ms) {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60e3) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3600e3) return `${Math.round(ms / 60e3)} min`;
  if (ms < 48 * 3600e3) return `${Math.round(ms / 3600e3)} h`;
  return `${Math.round(ms / 86400e3)} days`;
}

export function bytes(n) {
  let unit = 0;
  while (n >= 1000 && unit < 4) {
    n /= 1024;
    unit++;
  }
  const digits = unit > 0 && n < 10 ? 1 : 0;
  return `${n.toFixed(digits)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit]}`;
}

// clock is the time of day.
export function clock(ms) {
  return new Date(ms).toLocaleTimeString('en-GB');
}

// date is a day and the time of day.
export function date(ms) {
  const d = new Date(ms);
  const two = (n) => String(n).padStart(2, '0');
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock(ms)}`;
}

export function count(n, noun, nouns = `${noun}s`) {
  return `${n} ${n === 1 ? noun : nouns}`;
}

// list joins words as people do.
export function list(words) {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
}

// capital makes a sentence of an agent's words.
export function capital(text) {
  return text ? text[0].toUpperCase() + text.slice(1) : '';
}

// shorten leaves out the middle of what is longer than a number of characters.
export function shorten(text, longest) {
  if (text.length <= longest) return text;
  const tail = Math.ceil((longest - 1) / 2);
  return `${text.slice(0, longest - 1 - tail)}…${text.slice(text.length - tail)}`;
}
