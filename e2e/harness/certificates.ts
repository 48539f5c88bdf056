import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';

export interface Certificates extends Disposable {
  /** PEM files. */
  readonly ca: string;
  readonly server: { readonly cert: string; readonly key: string };
  readonly client: { readonly cert: string; readonly key: string };
  read(file: string): Buffer;
}

/** An authority, a server's certificate for these names and 127.0.0.1, and a client's, made by openssl. */
export function makeCertificates(names: readonly string[]): Certificates {
  const root = mkdtempSync(`${tmpdir()}/gantry-certificates-`);
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  openssl('req', '-x509', ...key, '-subj', '/CN=gantry test authority', '-keyout', 'ca.key', '-out', 'ca.crt');
  const sign = (name: string, extensions: string) => {
    openssl('req', ...key, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    writeFileSync(`${root}/${name}.ext`, extensions);
    openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'],
      ...['-days', '2', '-extfile', `${name}.ext`, '-out', `${name}.cert`],
    );
    return { cert: `${root}/${name}.cert`, key: `${root}/${name}.key` };
  };
  return {
    ca: `${root}/ca.crt`,
    server: sign('server', `subjectAltName=${names.map((name) => `DNS:${name},`).join('')}IP:127.0.0.1`),
    client: sign('client', 'extendedKeyUsage=clientAuth'),
    read: (file) => readFileSync(file),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}
