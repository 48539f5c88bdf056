import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SyslogSource, syslogMessage } from './syslog-message.ts';
import { syslogAddress, syslogFacility } from './syslog-options.ts';

const source: SyslogSource = { facility: 3, format: 'rfc3164', tag: 'app', hostname: 'host', pid: 7, local: false };
const record = { stream: 'stdout', time: '2026-02-03T04:05:06.123456789Z', text: Buffer.from('a line\n') } as const;
const said = (more: Partial<SyslogSource>, stream: 'stdout' | 'stderr' = 'stdout') =>
  syslogMessage({ ...record, stream }, { ...source, ...more }).toString('utf8');

test('syslogMessage: RFC 3164 has the host’s name only where it goes elsewhere, and a day of two places', () => {
  assert.match(said({}), /^<30>Feb {2}3 \d\d:\d\d:06 host app\[7\]: a line$/);
  assert.match(said({ local: true }, 'stderr'), /^<27>Feb {2}3 \d\d:\d\d:06 app\[7\]: a line$/);
});

test('syslogMessage: RFC 5424 with whole seconds or microseconds, cut and not rounded', () => {
  assert.equal(said({ format: 'rfc5424', facility: 16 }), '<134>1 2026-02-03T04:05:06Z host app 7 app - a line');
  assert.equal(said({ format: 'rfc5424micro' }), '<30>1 2026-02-03T04:05:06.123456Z host app 7 app - a line');
});

test('syslogAddress and syslogFacility read what Docker reads', () => {
  assert.deepEqual(syslogAddress('udp://10.0.0.1'), { kind: 'udp', host: '10.0.0.1', port: 514 });
  assert.deepEqual(syslogAddress('tcp+tls://[fd00::1]:6514'), { kind: 'tcp+tls', host: 'fd00::1', port: 6514 });
  assert.deepEqual(syslogAddress('unixgram:///dev/log'), { kind: 'unixgram', path: '/dev/log' });
  for (const wrong of ['udp://', 'unix://relative', 'http://x', 'tcp://host:0', 'tcp://host:99999'])
    assert.throws(() => syslogAddress(wrong), { kind: 'invalid' }, wrong);
  assert.equal(syslogFacility('local7'), 23);
  assert.equal(syslogFacility('16'), 16);
  for (const wrong of ['24', 'nobody', 'constructor'])
    assert.throws(() => syslogFacility(wrong), { kind: 'invalid' }, wrong);
});
