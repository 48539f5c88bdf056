import { showAccount } from './account-nav.js';
import { showProblem, withButton } from './elements.js';
import { ask } from './hub-api.js';

const form = document.getElementById('account-form');
form.addEventListener('submit', (event) => {
  event.preventDefault();
  const { name, password } = Object.fromEntries(new FormData(form));
  void withButton(form.querySelector('button'), async () => {
    try {
      await ask('POST', form.dataset.action, { name, password });
      location.assign('/');
    } catch (error) {
      form.elements.password.focus();
      throw error;
    }
  });
});

try {
  const session = await showAccount();
  if (session.signUp === 'closed' && form.dataset.action === 'accounts')
    showProblem('Sign-up is closed here. Ask whoever runs this hub for an account.');
} catch (error) {
  showProblem(error.message);
}
