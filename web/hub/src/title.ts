import { useEffect } from 'preact/hooks';

/** Names the page in the browser's head. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title === '' ? 'Gantry Hub' : `${title} · Gantry Hub`;
  }, [title]);
}
