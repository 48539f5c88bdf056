import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import type { EngineTls } from '#client/index.ts';

/** Reads the PEM files for a TLS engine: those named, else what lies in DOCKER_CERT_PATH or ~/.docker. */
export function readTlsFiles(named: { ca: string; cert: string; key: string; verify: boolean }): EngineTls {
  const folder = process.env.DOCKER_CERT_PATH || `${homedir()}/.docker`;
  const read = (path: string, fallback: string): string | undefined => {
    if (path !== '') return readFileSync(path, 'utf8');
    return existsSync(`${folder}/${fallback}`) ? readFileSync(`${folder}/${fallback}`, 'utf8') : undefined;
  };
  return {
    ca: read(named.ca, 'ca.pem'),
    cert: read(named.cert, 'cert.pem'),
    key: read(named.key, 'key.pem'),
    verify: named.verify,
  };
}
