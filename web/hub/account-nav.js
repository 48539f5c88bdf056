import { element, withButton } from './elements.js';
import { ask } from './hub-api.js';

/** Fills the page's head with who is signed in, or the ways to become so; resolves with the session. */
export async function showAccount() {
  const session = await ask('GET', 'session');
  const nav = document.getElementById('account');
  if (session.account === null) {
    const links = [element('a', { href: '/sign-in' }, 'Sign in')];
    if (session.signUp === 'open') links.push(element('a', { href: '/sign-up' }, 'Sign up'));
    nav.replaceChildren(...links);
  } else {
    const button = element('button', { type: 'button' }, 'Sign out');
    button.addEventListener('click', () =>
      withButton(button, async () => {
        await ask('DELETE', 'session');
        location.assign('/');
      }),
    );
    nav.replaceChildren(element('span', {}, 'Signed in as ', element('strong', {}, session.account.name)), button);
  }
  return session;
}
