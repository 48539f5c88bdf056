import { showAccount } from './account-nav.js';
import { announce, element, showProblem, withButton } from './elements.js';
import { ask } from './hub-api.js';
import { repositoryCard } from './repository-card.js';

/** Fills a section with a list of repositories, page by page. */
function showList(section, query, own, empty) {
  const list = section.querySelector('.repositories');
  const more = section.querySelector('.more');
  let last = '';
  const load = async () => {
    const page = await ask('GET', `repositories?${new URLSearchParams({ ...query, last })}`);
    if (last === '') list.replaceChildren();
    list.append(...page.repositories.map((repository) => repositoryCard(repository, own, refresh)));
    last = page.repositories.at(-1)?.name ?? last;
    more.hidden = !page.more;
    if (list.childElementCount === 0) list.append(element('p', { className: 'hint' }, empty));
  };
  more.addEventListener('click', () => withButton(more, load));
  return () => {
    last = '';
    return load();
  };
}

const sections = [];
async function refresh() {
  for (const show of sections) await show();
}

function showMine(account) {
  const section = document.getElementById('mine');
  const box = document.getElementById('default-private');
  section.hidden = false;
  box.checked = account.defaultPrivate;
  box.addEventListener('change', () =>
    withButton(box, async () => {
      try {
        await ask('PATCH', 'account', { defaultPrivate: box.checked });
        announce(box.checked ? 'New repositories will be private' : 'New repositories will be public');
      } catch (error) {
        box.checked = !box.checked;
        throw error;
      }
    }),
  );
  const hint = `Nothing yet. Push an image: gantry login ${location.host} && gantry push ${location.host}/${account.name}/NAME:TAG`;
  sections.push(showList(section, { of: 'me' }, true, hint));
}

try {
  const { account } = await showAccount();
  if (account !== null) showMine(account);
  sections.push(showList(document.getElementById('public'), { of: 'all' }, false, 'There are none yet.'));
  await refresh();
} catch (error) {
  showProblem(error.message);
}
