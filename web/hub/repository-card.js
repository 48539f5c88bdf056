import { announce, element, withButton } from './elements.js';
import { ask } from './hub-api.js';

/** One repository with its tags; with `own`, also what its owner may change. `changed` is called after a change. */
export function repositoryCard(repository, own, changed) {
  const [first, ...others] = repository.tags.map((tag) => tagItem(repository, tag, own, changed));
  const card = element(
    'article',
    { className: 'card' },
    element(
      'div',
      { className: 'row' },
      element('h3', {}, repository.name),
      element('span', { className: 'badge' }, repository.private ? 'private' : 'public'),
      element('span', { className: 'facts grow' }, 'updated ', time(repository.updated)),
      ...(own ? [visibilityButton(repository, changed)] : []),
    ),
    first === undefined ? element('p', { className: 'hint' }, 'No tags.') : element('ul', { className: 'tags' }, first),
  );
  if (others.length > 0) {
    const label = others.length === 1 ? '1 more tag' : `${others.length} more tags`;
    card.append(element('details', {}, element('summary', {}, label), element('ul', { className: 'tags' }, ...others)));
  }
  return card;
}

function tagItem(repository, tag, own, changed) {
  const reference = `${location.host}/${repository.name}:${tag.name}`;
  const row = element(
    'div',
    { className: 'row' },
    element('span', { className: 'tag' }, tag.name),
    element('span', { className: 'facts grow', title: tag.digest }, `${size(tag.size)}, pushed `, time(tag.updated)),
  );
  if (own) {
    const button = element('button', { type: 'button', className: 'danger' }, 'Delete');
    button.setAttribute('aria-label', `Delete the tag ${repository.name}:${tag.name}`);
    button.addEventListener('click', () => {
      if (!confirm(`Delete the tag ${repository.name}:${tag.name}?`)) return;
      void withButton(button, async () => {
        const query = new URLSearchParams({ name: repository.name, tag: tag.name });
        await ask('DELETE', `tag?${query}`);
        await changed();
        announce(`Deleted ${repository.name}:${tag.name}`);
      });
    });
    row.append(button);
  }
  return element('li', {}, row, command(`gantry run -it --rm -p 8080:8080 ${reference}`));
}

function visibilityButton(repository, changed) {
  const wanted = repository.private ? 'public' : 'private';
  const button = element('button', { type: 'button' }, `Make ${wanted}`);
  button.setAttribute('aria-label', `Make ${repository.name} ${wanted}`);
  button.addEventListener('click', () =>
    withButton(button, async () => {
      const query = new URLSearchParams({ name: repository.name });
      await ask('PATCH', `repository?${query}`, { private: !repository.private });
      await changed();
      announce(`${repository.name} is ${wanted} now`);
    }),
  );
  return button;
}

function command(text) {
  const code = element('code', {}, text);
  const button = element('button', { type: 'button' }, 'Copy');
  button.setAttribute('aria-label', `Copy: ${text}`);
  button.addEventListener('click', async () => {
    const done = await copy(text, code);
    button.textContent = done ? 'Copied' : 'Press Ctrl+C';
    announce(done ? 'Copied to the clipboard' : 'The command is selected; copy it with Ctrl+C');
    setTimeout(() => {
      button.textContent = 'Copy';
    }, 2000);
  });
  return element('div', { className: 'command' }, code, button);
}

/** Browsers give pages the clipboard only over HTTPS or on localhost; elsewhere the text is selected and copied so. */
async function copy(text, code) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection().selectAllChildren(code);
    return document.execCommand('copy');
  }
}

function time(iso) {
  const date = new Date(iso);
  return element('time', { dateTime: iso, title: date.toLocaleString() }, date.toLocaleDateString());
}

/** Bytes in the units that the command line uses. */
function size(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toPrecision(3)} ${units[unit]}`;
}
