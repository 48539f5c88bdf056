/**
 * Makes an element. Texts go in as text only: names, tags and labels come from strangers. Keys that begin with `on` are
 * listeners; the others are properties.
 */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else made[key] = value;
  }
  made.append(...children);
  return made;
}

/** Shows a problem where the page has its place for one; an empty text hides it. */
export function showProblem(text) {
  const place = document.getElementById('problem');
  place.textContent = text;
  place.hidden = text === '';
}

/** Tells people who listen to the page rather than look at it. */
export function announce(text) {
  document.getElementById('status').textContent = text;
}

/** Runs what a button starts: once at a time, with its problem shown. */
export async function withButton(button, action) {
  button.disabled = true;
  showProblem('');
  try {
    await action();
  } catch (error) {
    showProblem(error.message);
  } finally {
    button.disabled = false;
  }
}
