// Light or dark: as the system has it, unless the reader says otherwise.

const key = 'picket-theme';
const names = { '': 'Theme: system', light: 'Theme: light', dark: 'Theme: dark' };

// theme has a button switch between them.
export function theme(button) {
  const set = (choice) => {
    if (choice) localStorage.setItem(key, choice);
    else localStorage.removeItem(key);
    if (choice) document.documentElement.dataset.theme = choice;
    else delete document.documentElement.dataset.theme;
    button.textContent = names[choice];
  };
  const choices = Object.keys(names);
  const now = () => (choices.includes(localStorage.getItem(key)) ? localStorage.getItem(key) : '');
  set(now());
  button.addEventListener('click', () => set(choices[(choices.indexOf(now()) + 1) % choices.length]));
}
