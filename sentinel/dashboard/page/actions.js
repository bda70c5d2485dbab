// What an operator does to a master: each has its plan first, a button that names the master, and the steps as they are committed.

import { at, drop, get, post, token } from './agent.js';
import { h } from './dom.js';
import { icon } from './draw.js';
import { steps, tell } from './events.js';
import { bytes, capital, date, duration, moment } from './format.js';

const who = 'dashboard'; // beside the name that the agents know by the token

const minutes = [[5, '5 minutes'], [30, '30 minutes'], [60, '1 hour'], [240, '4 hours'], [1440, '1 day']];

// Each action has a title, what is asked before, the plan for that, the word on its button, and how it is ordered. follows: it has steps
// that are committed one after the other.
const actions = {
  switchover: {
    title: (a) => `Switch ${a.master} over`,
    about: 'A healthy master is handed over to a replica. Nothing is lost; writers wait for some milliseconds.',
    ask: (a) => get(at(a.master, 'rehearsal', a.to && { to: a.to })),
    plan: rehearsal,
    can: (a) => a.plan && !a.plan.blocker,
    button: (a) => `Switch ${a.master} over${a.to ? ` to ${a.to}` : ''}`,
    order: (a) => post('v1/switchover', { master: a.master, who, ...(a.to && { to: a.to }) }),
    follows: true,
  },
  failover: {
    title: (a) => `Fail ${a.master} over`,
    about: 'Another server is promoted whatever the master’s health. For a healthy master, a switchover is better.',
    ask: (a) => get(at(a.master, 'plan', { fail: a.addr })),
    plan: forecast,
    can: (a) => a.plan && a.sure === a.master && (a.plan.decision.outlook?.target || (a.loss && lacking(a.plan))),
    button: (a) => `Fail ${a.master} over`,
    order: (a) => post('v1/failover', { master: a.master, who, ...(a.loss && lacking(a.plan) && { allow_data_loss: true }) }),
    follows: true,
  },
  pause: {
    title: (a) => `Pause ${a.master}`,
    about: 'While it is paused, nothing begins by itself: no failover, no repair. What is ordered by hand is still done.',
    ask: (a) => get(at(a.master, 'plan', { fail: a.addr })),
    plan: held,
    can: () => true,
    button: (a) => `Pause ${a.master} for ${minutes.find(([n]) => n === a.minutes)[1]}`,
    order: (a) => post('v1/pause', { master: a.master, who, for: `${a.minutes}m`, ...(a.why && { why: a.why }) }),
    done: 'It is paused.',
  },
  resume: {
    title: (a) => `Resume ${a.master}`,
    about: 'The pause ends, and the agents may act again.',
    ask: (a) => get(at(a.master, 'why')),
    plan: awaiting,
    can: () => true,
    button: (a) => `Resume ${a.master}`,
    order: (a) => drop(`v1/pause?${new URLSearchParams({ master: a.master, who })}`),
    done: 'The pause has ended.',
  },
  resumeAll: {
    title: () => 'Resume all masters',
    about: 'The pause of all masters ends. Those that are paused by name as well stay so.',
    ask: () => get('v1/pause'),
    plan: pauses,
    can: () => true,
    button: () => 'Resume all masters',
    order: () => drop(`v1/pause?${new URLSearchParams({ who })}`),
    done: 'The pause has ended.',
  },
};

// Dialog shows one action at a time. changed is called when it is to be shown anew; latest gives what the page knows.
export class Dialog {
  constructor(element, { changed, latest }) {
    Object.assign(this, { element, changed, latest, action: null });
    element.addEventListener('close', () => {
      this.action = null;
      changed();
    });
  }

  // begin opens the dialog for a master of the status.
  begin(kind, master) {
    this.action = {
      kind, master: master.name, addr: master.server.addr, replicas: master.replicas.map((r) => ({ addr: r.addr, state: r.state, lag: r.lag })),
      stage: 'plan', to: '', minutes: 60, why: '', sure: '', loss: false,
    };
    this.changed();
    this.element.showModal();
    this.ask();
  }

  close() {
    this.element.close();
  }

  // set notes what the operator chooses; a new plan is asked for where that matters.
  set(change, again) {
    Object.assign(this.action, change);
    this.changed();
    if (again) this.ask();
  }

  async ask() {
    const action = this.action;
    const asked = (action.asked = (action.asked ?? 0) + 1);
    Object.assign(action, { plan: null, error: null });
    this.changed();
    const answer = await settle(actions[action.kind].ask(action));
    if (action === this.action && asked === action.asked) {
      Object.assign(action, { plan: answer.value, error: answer.error });
      this.changed();
    }
  }

  async order() {
    const action = this.action;
    Object.assign(action, { stage: 'running', after: this.latest().events[0]?.id ?? 0, error: null });
    this.changed();
    const { error } = await settle(actions[action.kind].order(action));
    if (error) Object.assign(action, { stage: 'failed', error });
    else if (!actions[action.kind].follows) action.stage = 'done';
    this.changed();
  }

  view() {
    const a = this.action;
    if (!a) return [];
    const kind = actions[a.kind];
    return [
      h('h2', { key: 'title', id: 'dialog-title' }, kind.title(a)),
      a.stage === 'plan' ? [
        h('p', { key: 'about' }, kind.about),
        h('div', { key: 'choices' }, this.choices(a)),
        h('section', { key: 'plan', class: 'plan', 'aria-label': 'Plan', 'aria-live': 'polite' }, h('h3', null, 'Plan'), plan(a, kind)),
        this.assurance(a),
      ] : this.progress(a, kind),
      h('div', { key: 'buttons', class: 'buttons' },
        h('button', { key: 'close', type: 'button', onclick: () => this.close() }, a.stage === 'plan' ? 'Cancel' : 'Close'),
        a.stage === 'plan' && h('button', { key: 'go', type: 'button', class: 'primary', disabled: !kind.can(a), onclick: () => this.order() }, kind.button(a))),
    ];
  }

  choices(a) {
    if (a.kind === 'switchover') {
      const choice = (addr, text) => h('label', { key: addr, class: 'choice' },
        h('input', { type: 'radio', name: 'to', value: addr, checked: a.to === addr, onchange: () => this.set({ to: addr }, true) }), ' ', text);
      return h('fieldset', null, h('legend', null, 'To'),
        choice('', 'the best replica'),
        a.replicas.map((r) => choice(r.addr, [h('code', null, r.addr), h('span', { class: 'quiet' }, ` ${r.state}${r.lag >= 0 ? `, ${bytes(r.lag)} behind` : ''}`)])));
    }
    if (a.kind === 'pause') {
      return [
        h('label', { key: 'for', class: 'field' }, 'For ', h('select', { onchange: (e) => this.set({ minutes: Number(e.target.value) }) },
          minutes.map(([n, text]) => h('option', { key: n, value: String(n), selected: n === a.minutes }, text)))),
        h('label', { key: 'why', class: 'field' }, 'Why ', h('input', { type: 'text', maxlength: 200, value: a.why, placeholder: 'for those who wonder', oninput: (e) => this.set({ why: e.target.value }) })),
      ];
    }
    return null;
  }

  // assurance is what is wanted beside a click, before something that may lose writes.
  assurance(a) {
    if (a.kind !== 'failover' || !a.plan) return null;
    return h('div', { key: 'sure' },
      lacking(a.plan) && h('label', { class: 'choice' },
        h('input', { type: 'checkbox', checked: a.loss, onchange: (e) => this.set({ loss: e.target.checked }) }), ' Go on without them: writes that clients waited for may be lost'),
      h('label', { class: 'field' }, `Type ${a.master} to confirm `,
        h('input', { type: 'text', value: a.sure, autocomplete: 'off', spellcheck: 'false', oninput: (e) => this.set({ sure: e.target.value }) })));
  }

  progress(a, kind) {
    const done = kind.follows ? steps(this.latest().events, a.master, a.after) : [];
    const last = done.at(-1);
    if (a.stage === 'running' && last && ['failover.ended', 'failover.aborted'].includes(last.type)) a.stage = last.type === 'failover.ended' ? 'done' : 'given up';
    const words = {
      running: ['unknown', 'It is under way …'], done: ['good', kind.done ?? `Done in ${last ? duration(last.at - done[0].at) : 'no time'}.`],
      'given up': ['bad', 'It was given up, and nothing has changed.'], failed: ['bad', `Refused: ${a.error}`],
    }[a.stage];
    return [
      h('p', { key: 'result', role: 'status', class: `words ${words[0]}` }, icon(words[0]), ' ', words[1]),
      done.length > 0 && h('ol', { key: 'steps', class: 'steps' }, done.map((e) => h('li', { key: e.id },
        h('span', { class: 'at' }, `+${duration(e.at - done[0].at)}`), h('b', null, e.type.split('.')[1]), h('span', null, tell(e).text)))),
    ];
  }
}

// settle gives what comes of a promise, or the words for why nothing does.
async function settle(promise) {
  try {
    return { value: await promise };
  } catch (error) {
    return { error: error.message };
  }
}

function plan(a, kind) {
  if (a.error) return h('p', { class: 'words bad' }, icon('bad'), ' ', a.error);
  if (!a.plan) return h('p', { class: 'quiet' }, 'The agent is asked …');
  return kind.plan(a.plan, a);
}

const rows = (list) => h('dl', { class: 'why' }, list.filter((r) => r && r[1]).map(([name, text], i) => h('div', { key: i }, h('dt', null, name), h('dd', null, text))));

function blocked(b) {
  return [h('p', { class: 'words bad' }, icon('bad'), ` ${capital(b.text)}`), h('p', { class: 'quiet' }, capital(b.remedy))];
}

function rehearsal(p) {
  if (p.blocker) return blocked(p.blocker);
  return rows([['From', p.from], ['To', `${p.to}: ${p.why}`], ...(p.others ?? []).map((c) => ['Not', `${c.server}: ${c.unfit || `offset ${c.offset ?? 0}`}`]),
    ['Then', `writers wait, ${p.to} gets the rest, is promoted, and clients are told; ${p.from} follows it`], ['Loss', 'none']]);
}

function forecast(p) {
  const d = p.decision;
  const o = d.outlook;
  if (!o?.target) return blocked(o?.blocker ?? d.blocker ?? { text: 'nobody could be promoted', remedy: 'start a replica' });
  return rows([
    ['Promoted', `${o.target}: ${o.why}`],
    ...(o.candidates ?? []).filter((c) => c.server !== o.target).map((c) => ['Not', `${c.server}: ${c.unfit || `offset ${c.offset ?? 0}`}`]),
    ['Loss', o.lost >= 0 ? `${bytes(o.lost)}, as of the last look at both` : 'not known'],
    ['Promise', p.promise],
  ]);
}

// lacking says whether replicas are missing that may hold writes for which clients have waited.
function lacking(p) {
  return [p.decision.blocker, p.decision.outlook?.blocker].some((b) => b?.reason === 'quorum-missing');
}

function held(p) {
  const target = p.decision.outlook?.target;
  return rows([
    ['Held back', target ? `if the master failed meanwhile, ${target} would not be promoted before the pause is over or resumed` : 'nobody could be promoted now anyway'],
    ['Ends', 'by itself when the time is over'],
  ]);
}

function awaiting(w) {
  const d = w.decision;
  return rows([['Now', `${d?.verdict ?? 'not known'}: ${d?.text ?? ''}`], ['Then', d?.code === 'Healthy' ? 'nothing is to be done' : 'what the agents have held back may begin at once']]);
}

function pauses(p) {
  const told = (all) => all.map((x) => `${x.master ? `${x.master}, ` : ''}by ${x.who}${x.why ? ` (${x.why})` : ''}, until ${date(moment(x.until))}`).join('; ');
  return rows([
    ['Ends', told(p.pauses.filter((x) => !x.master)) || 'no pause of all masters holds any more'],
    ['Stays', told(p.pauses.filter((x) => x.master))],
    ['Then', 'what the agents have held back may begin at once, for every master'],
  ]);
}

// buttons are the actions that there are for a master, for those who may.
export function buttons(master, role, begin, signIn) {
  if (role !== 'operate' && role !== 'admin') {
    return h('button', { key: 'sign', type: 'button', onclick: signIn }, token() ? 'Use another token …' : 'Enter a token to act …');
  }
  const button = (kind, text) => h('button', { key: kind, type: 'button', onclick: () => begin(kind, master) }, text);
  return [
    button('switchover', 'Switch over …'),
    button('failover', 'Fail over …'),
    master.paused?.master ? button('resume', 'Resume …') : button('pause', 'Pause …'),
    master.paused && !master.paused.master && button('resumeAll', 'Resume all …'),
  ];
}
