// Builds the hub's pages from web/hub into build/web/hub with Vite. Rebuilds only where a source is newer.
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const out = `${root}build/web/hub`;
const sources = [
  fileURLToPath(import.meta.url),
  `${root}package-lock.json`,
  ...readdirSync(`${root}web`, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath ?? entry.path}/${entry.name}`),
];
const newest = Math.max(...sources.map((file) => statSync(file).mtimeMs));
if (!existsSync(`${out}/index.html`) || statSync(`${out}/index.html`).mtimeMs < newest) {
  const { build } = await import('vite');
  const fresh = `${out}.${process.pid}`;
  await build({
    root: `${root}web/hub`,
    configFile: false,
    logLevel: 'warn',
    cacheDir: `${root}build/web/cache`,
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    // Everything is a file of its own: the pages' policy lets nothing inline run.
    build: { outDir: fresh, emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  });
  rmSync(out, { recursive: true, force: true });
  renameSync(fresh, out);
}
