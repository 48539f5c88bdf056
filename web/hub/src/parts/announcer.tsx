import { useEffect, useState } from 'preact/hooks';

const news = new EventTarget();

/** Tells people who listen to the page rather than look at it. */
export function announce(text: string): void {
  news.dispatchEvent(new CustomEvent('say', { detail: text }));
}

/** Where announcements are spoken from; once on the page. */
export function Announcer() {
  const [text, setText] = useState('');
  useEffect(() => {
    const hear = (event: Event) => setText(event instanceof CustomEvent ? String(event.detail) : '');
    news.addEventListener('say', hear);
    return () => news.removeEventListener('say', hear);
  }, []);
  return (
    <p class="visually-hidden" role="status">
      {text}
    </p>
  );
}
