import { flag, list, text, value } from './options.ts';

const logLevel = (written: string): string => {
  if (!/^(?:debug|info|warn|error|fatal)$/.test(written)) throw new Error('it is debug, info, warn, error or fatal');
  return written;
};

/** The flags before the command. */
export const globalOptions = {
  config: text('Location of client config files (default "~/.docker")'),
  context: text('Name of the context that says where the engine is (overrides the environment and "context use")', {
    short: 'c',
  }),
  debug: flag('Show where errors come from', { short: 'D' }),
  host: list('Daemon socket to connect to', { short: 'H' }),
  'log-level': value('string', logLevel, 'Set the logging level ("debug", "info", "warn", "error", "fatal")', {
    short: 'l',
    shownDefault: '"info"',
  }),
  tls: flag('Use TLS; implied by --tlsverify'),
  tlscacert: text('Trust certs signed only by this CA'),
  tlscert: text('Path to TLS certificate file'),
  tlskey: text('Path to TLS key file'),
  tlsverify: flag('Use TLS and verify the remote'),
  version: flag('Print version information and quit', { short: 'v' }),
};
