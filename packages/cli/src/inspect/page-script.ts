/** What the page does beyond showing itself. It writes no markup: what is in the page is only found, marked and faded. */
export const pageScript = `
(() => {
  const all = (what) => [...document.querySelectorAll(what)];
  const cards = all('.one');
  const rows = all('tbody tr');
  const search = document.getElementById('search');
  const found = document.getElementById('found');
  const root = document.documentElement;
  let pinned = '';
  const light = (container) => {
    for (const one of [...cards, ...rows]) one.classList.toggle('lit', container !== '' && one.dataset.container === container);
  };
  const look = () => {
    const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
    let count = 0;
    cards.forEach((card, at) => {
      const fits = words.every((word) => card.dataset.words.includes(word));
      if (fits) count++;
      card.classList.toggle('faded', !fits);
      if (rows[at]) rows[at].hidden = !fits;
    });
    found.textContent = words.length === 0 ? '' : count + ' of ' + cards.length;
  };
  for (const card of cards) {
    card.addEventListener('mouseenter', () => light(card.dataset.container));
    card.addEventListener('mouseleave', () => light(pinned));
    card.addEventListener('click', () => {
      pinned = pinned === card.dataset.container ? '' : card.dataset.container;
      light(pinned);
    });
  }
  search.addEventListener('input', look);
  search.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    search.value = '';
    look();
  });
  document.getElementById('theme').addEventListener('click', () => {
    const isDark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme:dark)').matches;
    root.dataset.theme = isDark ? 'light' : 'dark';
  });
  document.querySelector('.tools').hidden = false;
})();
`.trim();
