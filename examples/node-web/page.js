import { readFileSync } from 'node:fs';
import mustache from 'mustache';

const template = readFileSync(new URL('page.html', import.meta.url), 'utf8');

/** The page for a visitor; whatever the name holds is text. */
export const page = (name, visits) => mustache.render(template, { name, visits, many: visits !== 1 });
