import { useEffect, useState } from 'preact/hooks';

/** The address that is shown: its path and its query. */
export interface Place {
  readonly path: string;
  readonly query: URLSearchParams;
}

const here = (): Place => ({ path: location.pathname, query: new URLSearchParams(location.search) });
const moved = new EventTarget();

/** Shows another page of ours without loading it. */
export function go(to: string): void {
  history.pushState(null, '', to);
  scrollTo(0, 0);
  moved.dispatchEvent(new Event('move'));
}

/** The present place; links to our own pages are followed without loading. */
export function usePlace(): Place {
  const [place, setPlace] = useState(here);
  useEffect(() => {
    const show = () => setPlace(here());
    const follow = (event: MouseEvent) => {
      const link = event.target instanceof Element ? event.target.closest('a') : null;
      const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
      if (link === null || !plain || event.defaultPrevented || link.origin !== location.origin) return;
      if (link.hash !== '' && link.pathname === location.pathname) return;
      event.preventDefault();
      go(link.pathname + link.search);
    };
    moved.addEventListener('move', show);
    addEventListener('popstate', show);
    document.addEventListener('click', follow);
    return () => {
      moved.removeEventListener('move', show);
      removeEventListener('popstate', show);
      document.removeEventListener('click', follow);
    };
  }, []);
  return place;
}
