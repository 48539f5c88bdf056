import { GantryError } from '#errors/index.ts';
import type { Platform } from '#oci/index.ts';

/** `os/architecture[/variant]` of a query, or the JSON of an OCI platform. @throws GantryError invalid */
export function platformOf(text: string | undefined): { platform?: Platform } {
  if (text === undefined || text === '') return {};
  const wrong = () =>
    new GantryError(
      'invalid',
      `"${text}" is not a platform; expected os/architecture[/variant], e.g. linux/amd64, or the JSON of one`,
    );
  if (text.startsWith('{')) {
    let value: Partial<Record<'os' | 'architecture' | 'variant', unknown>>;
    try {
      value = JSON.parse(text) as typeof value;
    } catch {
      throw wrong();
    }
    const { os, architecture, variant } = value;
    if (typeof os !== 'string' || typeof architecture !== 'string') throw wrong();
    return { platform: { os, architecture, ...(typeof variant === 'string' && variant !== '' ? { variant } : {}) } };
  }
  const [os = '', architecture = '', variant, ...more] = text.split('/');
  if (os === '' || architecture === '' || more.length > 0) throw wrong();
  return { platform: { os, architecture, ...(variant === undefined ? {} : { variant }) } };
}
