import { agoText } from '../units.ts';

/** A moment, as how long ago it was; the exact time on pointing at it. */
export const Time = ({ iso }: { readonly iso: string }) => (
  <time dateTime={iso} title={new Date(iso).toLocaleString()}>
    {agoText(iso)}
  </time>
);
