// The page: what it knows, how it comes to know it, and when it shows it.

import { buttons, Dialog } from './actions.js';
import { events as openEvents, get, setToken, token } from './agent.js';
import { Announcer } from './announce.js';
import { h, render } from './dom.js';
import { draw, icon } from './draw.js';
import { fromStatus, fromStream, kind, merge, strangers, tell } from './events.js';
import { capital, clock } from './format.js';
import { Stream } from './stream.js';
import { theme } from './theme.js';
import { describe } from './topology.js';
import * as views from './views.js';

const keptEvents = 200;
// A status is asked for when an event says that something has changed, and else now and then; never more often than once in this time.
const shortest = 1000;
const usual = 3000;

const $ = (id) => document.getElementById(id);

// What the page knows. Whatever changes it calls show.
const page = {
  status: null, asked: -Infinity, events: [], newest: 0, link: { state: 'connecting', failures: 0 }, fault: '', me: null, refused: false, history: { master: '', list: [] },
  filter: { text: '', unwell: false }, only: false, version: '',
};

const announcer = new Announcer((text) => render($('news'), text));
const dialog = new Dialog($('action'), { changed: show, latest: () => page });
const stream = new Stream({ open, told, changed: linked });

// selected is the master that is shown: the one in the address, else the first.
function selected() {
  const all = page.status?.masters ?? [];
  return all.find((m) => views.path(m.name) === location.hash) ?? all[0];
}

// The status, and what belongs to it.

let timer = 0;

// due has the status asked for as soon as that may be, or after a while.
function due(delay = 0) {
  clearTimeout(timer);
  if (document.hidden || page.link.state !== 'live') return;
  timer = setTimeout(refresh, Math.max(delay, page.asked + shortest - performance.now()));
}

async function refresh() {
  try {
    await load();
    await remember();
  } catch (error) {
    page.fault = error.message;
    if (error.status === 401) page.refused = true;
  }
  show();
  due(usual);
}

async function load(signal) {
  page.asked = performance.now();
  const status = await get('v1/status', signal);
  page.version ||= status.version;
  learn(status.events.map(fromStatus));
  Object.assign(page, { status, fault: '', refused: false });
}

// remember has the past failovers of the master that is shown, when there may be new ones.
async function remember() {
  const master = selected();
  const newest = page.events.find((e) => e.master === master?.name && e.type.startsWith('failover.'))?.id ?? 0;
  if (!master || (page.history.master === master.name && page.history.newest === newest)) return;
  const list = await get(`v1/history?${new URLSearchParams({ master: master.name })}`);
  page.history = { master: master.name, newest, list: list.failovers.map((f) => ({ ...f.record, lost_bytes: f.lost_bytes })) };
}

// learn takes in events. Where the group was founded anew those from before are forgotten, and the stream goes on from what there is now.
function learn(events) {
  const anew = strangers(page.events, events);
  page.events = merge(anew ? [] : page.events, events, keptEvents);
  page.newest = page.events[0]?.id ?? 0;
  if (anew) stream.start();
}

// The stream.

// open begins to listen to what is newer than what is known, which is what the first status has told.
async function open(signal) {
  if (!page.status) await load(signal);
  return openEvents(page.newest, signal);
}

function told(message) {
  if (message.event === 'gap') {
    announcer.tell('Some events are forgotten.');
    return due();
  }
  const event = fromStream(message);
  learn([event]);
  announcer.tell(`${event.master} ${kind(event)}: ${tell(event).text}`.trim());
  show();
  due();
}

function linked(link) {
  const was = page.link.state;
  page.link = link;
  if (link.state === 'live') {
    if (was !== 'live' && page.status) announcer.tellNow('The agent is heard again.');
    whoAmI();
    due();
  } else {
    clearTimeout(timer);
    if (link.state === 'waiting' && link.failures === 1 && page.status) announcer.tellNow('The agent is not heard: what is shown is out of date.');
  }
  if (link.state === 'live' || link.state === 'waiting') page.refused = link.error?.status === 401; // until then what was said last holds
  show();
}

async function whoAmI() {
  try {
    page.me = await get('v1/whoami');
  } catch {
    page.me = null;
  }
  show();
}

// Showing.

let frame = 0;
let second = 0; // until what counts down is shown anew

function show() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    paint();
  });
}

function paint() {
  const { status } = page;
  const live = page.link.state === 'live' && !page.fault;
  banner(live);
  render($('connection'), connection(live));
  render($('sign'), page.me?.name ? page.me.name : 'Token …');
  document.body.classList.toggle('stale', !live && status !== null);
  render($('action'), dialog.view());
  render($('events'), shownEvents());
  if (!status) return;
  const master = selected();
  document.title = `${master ? `${master.name} · ` : ''}${status.cluster} · Picket`;
  render($('cluster'), status.cluster);
  render($('group'), views.group(status));
  const several = status.masters.length > 1;
  $('page').classList.toggle('several', several);
  $('masters').hidden = !several;
  if (several) render($('masters'), views.masters(status, master.name, page.filter, (change) => { Object.assign(page.filter, change); show(); }));
  $('only').hidden = !several;
  render($('only'), h('input', { type: 'checkbox', checked: page.only, onchange: (e) => { page.only = e.target.checked; show(); } }), ' this master only');
  render($('master'), master ? whole(status, master) : h('p', { class: 'quiet' }, 'No master is watched yet.'));
}

function connection(live) {
  if (live) return h('span', { class: 'words good' }, icon('good'), ` live from ${page.status?.agent ?? 'the agent'}`);
  if (page.link.state === 'hidden') return h('span', { class: 'words' }, icon('unknown'), ' resting');
  return h('span', { class: 'words warn' }, icon('warn'), page.status ? ' not live' : ' connecting');
}

// banner says what keeps the page from being live, or from being the right one.
function banner(live) {
  const { link, status } = page;
  const outdated = live && status && status.version !== page.version;
  const quiet = (live && !outdated) || link.state === 'hidden' || (link.state === 'connecting' && link.failures === 0 && !status);
  $('banner').hidden = quiet;
  if (quiet) return;
  if (outdated) {
    render($('banner'), icon('warn'), h('p', null, `The agent runs version ${status.version} now, and this page is of ${page.version}.`),
      h('button', { key: 'reload', type: 'button', onclick: () => location.reload() }, 'Reload'));
    return;
  }
  const left = Math.max(0, Math.ceil(((link.until ?? 0) - Date.now()) / 1000));
  render($('banner'),
    icon('warn'),
    h('p', null,
      page.refused ? 'This agent tells only those who have a token. '
        : status ? `This is what was known at ${clock(Date.parse(status.at))}: ` : 'Not connected: ',
      page.refused ? '' : `${link.why || page.fault || 'the agent is asked again'}. `,
      link.state === 'waiting' ? `Next try in ${left} s.` : 'Trying …'),
    page.refused
      ? h('button', { key: 'token', type: 'button', onclick: askToken }, 'Enter a token …')
      : h('button', { key: 'now', type: 'button', onclick: () => stream.start() }, 'Try now'));
  clearTimeout(second);
  if (link.state === 'waiting') second = setTimeout(show, 1000);
}

function whole(status, master) {
  const picture = describe(status, master);
  const role = page.me?.role ?? '';
  const past = page.history.master === master.name ? page.history.list : [master.last_failover].filter(Boolean);
  const failovers = [master.failover, ...past.filter((r) => r.id !== master.failover?.id)].filter(Boolean);
  return [
    h('section', { key: `head ${master.name}`, 'aria-labelledby': 'master-name' },
      h('h2', { id: 'master-name' }, master.name),
      h('p', { class: `sentence ${picture.tone}` }, icon(picture.tone), h('span', null, picture.sentence)),
      picture.more && h('p', { class: 'remedy' }, capital(picture.more)),
      h('div', { class: 'actions', role: 'group', 'aria-label': `Actions on ${master.name}` }, buttons(master, role, (kind, m) => dialog.begin(kind, m), askToken)),
      views.facts(status, master, picture),
      views.findings(master)),
    h('section', { key: `picture ${master.name}`, 'aria-labelledby': 'picture-title' },
      h('h3', { id: 'picture-title' }, 'Topology'),
      h('figure', { id: 'picture' }, draw(picture, room(), master.name)),
      h('details', null, h('summary', null, 'The same as a table'), h('div', { class: 'tables', tabindex: '0', role: 'region', 'aria-label': 'Topology as a table' }, views.table(picture)))),
    h('section', { key: `past ${master.name}`, 'aria-labelledby': 'past-title' },
      h('h3', { id: 'past-title' }, 'Failovers'),
      failovers.map((r, i) => views.failover(r, master.quorum, i === 0)),
      failovers.length === 0 && h('p', { class: 'quiet' }, 'None yet.')),
  ];
}

// room is how wide the picture may be.
function room() {
  const figure = document.getElementById('picture');
  return Math.max(260, (figure ?? $('master')).clientWidth - (figure ? 4 : 54));
}

function shownEvents() {
  const several = (page.status?.masters.length ?? 0) > 1;
  const name = selected()?.name;
  const list = page.events.filter((e) => !page.only || !e.master || e.master === name);
  return list.length ? list.map((e) => views.event(e, several)) : h('li', { class: 'quiet' }, 'None yet.');
}

// The token.

function askToken() {
  $('token-text').value = '';
  $('token-error').textContent = '';
  $('token-drop').hidden = !token();
  $('token').showModal();
}

async function useToken(event) {
  event.preventDefault();
  const before = token();
  setToken($('token-text').value.trim());
  try {
    page.me = await get('v1/whoami');
    $('token').close();
    stream.start();
  } catch (error) {
    setToken(before);
    $('token-error').textContent = error.message;
  }
  show();
}

$('token').querySelector('form').addEventListener('submit', useToken);
$('token-close').addEventListener('click', () => $('token').close());
$('token-drop').addEventListener('click', () => {
  setToken('');
  $('token').close();
  stream.start();
});
$('sign').addEventListener('click', askToken);

// A page that nobody looks at asks nothing.
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) return stream.start();
  stream.stop();
  linked({ state: 'hidden' });
});

addEventListener('hashchange', () => {
  show();
  page.asked = -Infinity; // the other master's past is wanted at once
  due();
});
addEventListener('resize', show);
theme($('theme'));
stream.start();
