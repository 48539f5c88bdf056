import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { RegistrySettings } from '#distribution/index.ts';
import { checkLogging, type Logging } from '#engine/index.ts';
import { GantryError, messageOf } from '#errors/index.ts';
import { type DriverName, driverNames, isDriverName } from '#snapshots/index.ts';
import type { ListenTls } from './listeners.ts';

export interface DaemonOptions {
  /** Where to listen: see parseListenAddress. */
  readonly hosts: readonly string[];
  readonly tls: ListenTls | undefined;
  readonly group: string | undefined;
  /** TCP sockets without TLS. */
  readonly allowPlainTcp: boolean;
  readonly dataRoot: string;
  readonly execRoot: string;
  readonly storageDriver: DriverName | undefined;
  /** What another driver has in the data root is moved to `storageDriver`. */
  readonly migrateStorage: boolean;
  readonly runtimes: ReadonlyMap<string, string>;
  readonly defaultRuntime: string;
  readonly insecureRegistries: readonly string[];
  /** Of Docker Hub. */
  readonly registryMirrors: readonly string[];
  /** By registry host. */
  readonly registries: Readonly<Record<string, RegistrySettings>>;
  readonly registryCertificates: readonly string[];
  readonly bridge: string;
  readonly bip: string | undefined;
  /** `base=10.10.0.0/16,size=24` each. */
  readonly addressPools: readonly string[];
  readonly largeLoopbackPackets: boolean;
  /** Of containers that ask for none. */
  readonly logging: Logging;
  readonly journalSocket: string;
  readonly logLevel: 'error' | 'warn' | 'info' | 'debug';
}

const help = `Usage:  gantry daemon [OPTIONS]

Start the engine: the Docker Engine API on unix sockets, and on TCP with mutual TLS

Options:
  -H, --host string                Where to listen; several may be given: unix:///path, tcp://host:port, fd:// (sockets of
                                   systemd) (default "unix:///run/gantry/gantry.sock")
      --group string               Group that may use unix sockets (default: docker, else gantry, where there is one)
      --tlsverify                  TCP sockets with TLS, for clients whose certificate --tlscacert signed
      --tlscacert file             Authority of the clients' certificates, PEM
      --tlscert file               The engine's own certificate, PEM
      --tlskey file                Its key, PEM
      --allow-plain-tcp            Also TCP sockets without TLS: whoever reaches one is root on this host
      --data-root string           Images, containers and volumes (default "/var/lib/gantry")
      --exec-root string           Sockets and state of running containers (default "/run/gantry")
      --storage-driver string      overlay2, erofs or vfs (default: what the data root has, or overlay2
                                   where its file system allows that)
      --migrate-storage            Move what another driver has to --storage-driver; no container may run
      --add-runtime name=path      One more OCI runtime
      --default-runtime string     The runtime used where none is asked for (default "gantry")
      --insecure-registry host     A registry spoken to without TLS
      --registry-mirror URL        Asked before Docker Hub; mirrors of other registries: "registries" of the config file
      --registry-certs directory   Certificates as DIRECTORY/HOST:PORT/*.crt, *.cert with *.key
                                   (default "/etc/gantry/certs.d" and "/etc/docker/certs.d")
      --bridge string              Name of the default bridge (default "gantry0")
      --bip string                 Address of the default bridge, e.g. 172.17.0.1/16
      --default-address-pool base=10.10.0.0/16,size=24
                                   Where networks without a --subnet come from; several may be given
      --large-loopback-packets     Let the host's lo carry 192 KiB packets ("BIG TCP", Linux 6.3): programs of the host
                                   reach published ports about a third faster
      --log-driver string          Where containers' output goes if they do not say: json-file, local, syslog, journald or
                                   none (default "json-file")
      --log-opt name=value         Options of that driver; several may be given
      --journald-socket path       Where the journal of systemd listens (default "/run/systemd/journal/socket")
      --config-file string         The same options as JSON (default "/etc/gantry/daemon.json")
      --log-level string           error, warn, info or debug (default "info")
`;

/** Parses `gantry daemon`'s flags over its config file. @throws GantryError invalid; returns the help text for --help */
export function parseDaemonOptions(argv: readonly string[]): DaemonOptions | { help: string } {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(argv);
  } catch (error) {
    throw new GantryError('invalid', `${messageOf(error)}; see 'gantry daemon --help'`);
  }
  const { values } = parsed;
  if (values.help) return { help };
  const file = configFile(values['config-file']);
  const one = (name: string, flag: string | undefined, fallback: string): string => {
    const value = flag ?? file[name] ?? fallback;
    if (typeof value !== 'string') throw new GantryError('invalid', `daemon option ${name} must be a string`);
    return value;
  };
  const on = (name: string, flag: boolean | undefined): boolean => {
    const value = flag ?? file[name] ?? false;
    if (typeof value !== 'boolean') throw new GantryError('invalid', `daemon option ${name} must be true or false`);
    return value;
  };
  const many = (name: string, flags: readonly string[] | undefined): readonly string[] => {
    const value = file[name] ?? [];
    if (!Array.isArray(value)) throw new GantryError('invalid', `daemon option ${name} must be a list`);
    return [...value.map(String), ...(flags ?? [])];
  };
  const runtimes = new Map<string, string>();
  for (const entry of many('add-runtime', values['add-runtime'])) {
    const at = entry.indexOf('=');
    if (at < 1) throw new GantryError('invalid', `--add-runtime "${entry}": expected name=path`);
    runtimes.set(entry.slice(0, at), entry.slice(at + 1));
  }
  const storageDriver = one('storage-driver', values['storage-driver'], '');
  if (storageDriver !== '' && !isDriverName(storageDriver))
    throw new GantryError(
      'invalid',
      `unknown storage driver "${storageDriver}"; expected ${driverNames.join(', ').replace(/, (?=\w+$)/, ' or ')}`,
    );
  const logLevel = one('log-level', values['log-level'], 'info');
  if (logLevel !== 'error' && logLevel !== 'warn' && logLevel !== 'info' && logLevel !== 'debug')
    throw new GantryError('invalid', `unknown log level "${logLevel}"; expected error, warn, info or debug`);
  const bip = one('bip', values.bip, '');
  return {
    hosts: values.host ?? hostsOf(file),
    tls: tlsOf(values.tlsverify ?? file.tlsverify === true, {
      ca: one('tlscacert', values.tlscacert, ''),
      cert: one('tlscert', values.tlscert, ''),
      key: one('tlskey', values.tlskey, ''),
    }),
    group: one('group', values.group, '') || undefined,
    allowPlainTcp: values['allow-plain-tcp'] ?? file['allow-plain-tcp'] === true,
    dataRoot: one('data-root', values['data-root'], '/var/lib/gantry'),
    execRoot: one('exec-root', values['exec-root'], '/run/gantry'),
    storageDriver: storageDriver === '' ? undefined : storageDriver,
    migrateStorage: values['migrate-storage'] ?? false,
    runtimes,
    defaultRuntime: one('default-runtime', values['default-runtime'], 'gantry'),
    insecureRegistries: [
      ...many('insecure-registry', values['insecure-registry']),
      ...many('insecure-registries', undefined), // as Docker's daemon.json has it
    ],
    registryMirrors: [...many('registry-mirror', values['registry-mirror']), ...many('registry-mirrors', undefined)],
    registries: registriesOf(file.registries),
    registryCertificates: ((given) => (given.length === 0 ? ['/etc/gantry/certs.d', '/etc/docker/certs.d'] : given))(
      many('registry-certs', values['registry-certs']),
    ),
    bridge: one('bridge', values.bridge, 'gantry0'),
    bip: bip === '' ? undefined : bip,
    addressPools: many('default-address-pool', values['default-address-pool']),
    largeLoopbackPackets: on('large-loopback-packets', values['large-loopback-packets']),
    logging: loggingOf(one('log-driver', values['log-driver'], 'json-file'), file['log-opts'], values['log-opt'] ?? []),
    journalSocket: one('journald-socket', values['journald-socket'], '/run/systemd/journal/socket'),
    logLevel,
  };
}

const string = { type: 'string' } as const;
const parse = (argv: readonly string[]) =>
  parseArgs({
    args: [...argv],
    allowPositionals: false,
    options: {
      help: { type: 'boolean' },
      host: { ...string, short: 'H', multiple: true },
      group: string,
      tlsverify: { type: 'boolean' },
      tlscacert: string,
      tlscert: string,
      tlskey: string,
      'allow-plain-tcp': { type: 'boolean' },
      'data-root': string,
      'exec-root': string,
      'storage-driver': string,
      'migrate-storage': { type: 'boolean' },
      'add-runtime': { ...string, multiple: true },
      'default-runtime': string,
      'insecure-registry': { ...string, multiple: true },
      'registry-mirror': { ...string, multiple: true },
      'registry-certs': { ...string, multiple: true },
      bridge: string,
      bip: string,
      'default-address-pool': { ...string, multiple: true },
      'large-loopback-packets': { type: 'boolean' },
      'config-file': string,
      'log-driver': string,
      'log-opt': { ...string, multiple: true },
      'journald-socket': string,
      'log-level': string,
    },
  });

const defaultHost = 'unix:///run/gantry/gantry.sock';

/** `hosts` of the config file, as Docker's daemon.json has it, or `host`. @throws GantryError invalid */
function hostsOf(file: Readonly<Record<string, unknown>>): readonly string[] {
  const given = file.hosts ?? file.host ?? defaultHost;
  const hosts: unknown[] = Array.isArray(given) ? given : [given];
  if (hosts.length === 0 || !hosts.every((host) => typeof host === 'string'))
    throw new GantryError('invalid', 'daemon option hosts must be a list of addresses');
  return hosts;
}

/** @throws GantryError invalid, naming what is missing */
function tlsOf(verify: boolean, files: ListenTls): ListenTls | undefined {
  const given = Object.entries(files).filter(([, path]) => path !== '');
  if (!verify && given.length > 0)
    throw new GantryError('invalid', '--tlscacert, --tlscert and --tlskey need --tlsverify: clients must be known');
  if (verify && given.length < 3)
    throw new GantryError('invalid', '--tlsverify needs all of --tlscacert, --tlscert and --tlskey');
  return verify ? files : undefined;
}

/** `log-opts` of the file is an object, as Docker's. @throws GantryError invalid | unsupported, naming the option */
function loggingOf(driver: string, file: unknown, flags: readonly string[]): Logging {
  if (file !== undefined && (typeof file !== 'object' || file === null || Array.isArray(file)))
    throw new GantryError('invalid', 'daemon option log-opts must be an object');
  const given = flags.map((flag) => {
    const at = flag.indexOf('=');
    if (at < 1) throw new GantryError('invalid', `--log-opt "${flag}": expected name=value`);
    return [flag.slice(0, at), flag.slice(at + 1)] as const;
  });
  const fromFile = Object.entries(file ?? {}).map(([name, value]) => [name, String(value)] as const);
  const logging = { driver, options: Object.fromEntries([...fromFile, ...given]) };
  checkLogging(logging);
  return logging;
}

/** @throws GantryError invalid, naming the field */
function registriesOf(value: unknown): Readonly<Record<string, RegistrySettings>> {
  const wrong = (where: string, what: string) =>
    new GantryError('invalid', `daemon option registries${where} must be ${what}`);
  if (value === undefined) return {};
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong('', 'an object by host');
  const known = ['mirrors', 'insecure', 'ca', 'cert', 'key'];
  for (const [host, settings] of Object.entries(value)) {
    if (typeof settings !== 'object' || settings === null) throw wrong(`["${host}"]`, 'an object');
    for (const [name, set] of Object.entries(settings as Record<string, unknown>)) {
      const at = `["${host}"].${name}`;
      if (!known.includes(name)) throw wrong(at, `one of ${known.join(', ')}`);
      if (name === 'mirrors' && !(Array.isArray(set) && set.every((url) => typeof url === 'string')))
        throw wrong(at, 'a list of URLs');
      if (name === 'insecure' && typeof set !== 'boolean') throw wrong(at, 'true or false');
      if (name !== 'mirrors' && name !== 'insecure' && typeof set !== 'string') throw wrong(at, 'the path of a file');
    }
  }
  return value as Readonly<Record<string, RegistrySettings>>;
}

function configFile(path: string | undefined): Readonly<Record<string, unknown>> {
  const file = path ?? '/etc/gantry/daemon.json';
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  } catch (error) {
    if (path === undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new GantryError('invalid', `the config file ${file} cannot be read: ${messageOf(error)}`);
  }
}
