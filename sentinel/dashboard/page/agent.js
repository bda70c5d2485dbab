// What this page asks its agent. Paths are relative, so that the page also works behind a proxy that adds a prefix.

const key = 'picket-token';

// Refusal is an answer that says what went wrong.
export class Refusal extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

// token is kept for this tab only, and sent in a header: never in an address.
export function token() {
  return sessionStorage.getItem(key) ?? '';
}

export function setToken(text) {
  if (text) sessionStorage.setItem(key, text);
  else sessionStorage.removeItem(key);
}

async function request(path, options = {}) {
  const headers = { ...options.headers };
  if (token()) headers.Authorization = `Bearer ${token()}`;
  if (options.body) headers['Content-Type'] = 'application/json';
  let response;
  try {
    response = await fetch(path, { cache: 'no-store', redirect: 'error', ...options, headers });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Error('the agent does not answer');
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw new Refusal(response.status, [problem.detail ?? `the agent answers ${response.status}`, problem.remedy].filter(Boolean).join('; '));
}

// get asks for something; post, and drop, have something done.
export async function get(path, signal) {
  return (await request(path, { signal })).json();
}

export async function post(path, body) {
  return (await request(path, { method: 'POST', body: JSON.stringify(body) })).json();
}

export async function drop(path) {
  return (await request(path, { method: 'DELETE' })).json();
}

// events opens the stream of what is newer than an id.
export function events(after, signal) {
  return request(`v1/events?after=${after}`, { signal, headers: { Accept: 'text/event-stream' } });
}

// at is the path of something of a master.
export function at(master, what, query) {
  const text = new URLSearchParams(query || {}).toString();
  return `v1/masters/${encodeURIComponent(master)}/${what}${text ? `?${text}` : ''}`;
}
