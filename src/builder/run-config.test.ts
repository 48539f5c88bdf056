import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDockerfile } from '#dockerfile/index.ts';
import type { ImageRunConfig } from '#oci/index.ts';
import { type ConfigInstruction, changeConfig, environment } from './run-config.ts';

/** Applies a file's instructions to a configuration. */
function configure(text: string, start: ImageRunConfig = {}): { config: ImageRunConfig; said: string[] } {
  const file = parseDockerfile(`FROM x\n${text}`);
  let config = start;
  let cmdSet = false;
  const said: string[] = [];
  for (const instruction of file.stages[0]?.instructions ?? []) {
    const env = environment(config);
    const change = changeConfig(config, instruction as ConfigInstruction, {
      lookup: (name) => env.get(name),
      escape: file.escape,
      cmdSet,
    });
    cmdSet ||= instruction.kind === 'CMD';
    config = change.config;
    said.push(change.said);
  }
  return { config, said };
}

test('changeConfig: each instruction in the configuration and in the history', () => {
  const { config, said } = configure(`ENV A=1 B="x $A"
ENV A=2 C=$A
LABEL l="v w" m=$C
WORKDIR /a
WORKDIR b/../c
USER $A:staff
EXPOSE 80 53/udp 8000-8001
VOLUME /data ["x"
STOPSIGNAL SIGINT
SHELL ["/bin/ash", "-c"]
HEALTHCHECK --interval=5s --retries=2 CMD check it
ENTRYPOINT ["/entry", "$A"]
CMD run $A
ONBUILD RUN more`);
  assert.deepEqual(config, {
    Env: ['A=2', 'B=x ', 'C=1'],
    Labels: { l: 'v w', m: '1' },
    WorkingDir: '/a/c',
    User: '2:staff',
    ExposedPorts: { '80/tcp': {}, '53/udp': {}, '8000/tcp': {}, '8001/tcp': {} },
    Volumes: { '/data': {}, '[x': {} },
    StopSignal: 'SIGINT',
    Shell: ['/bin/ash', '-c'],
    Healthcheck: { Test: ['CMD', '/bin/ash', '-c', 'check it'], Interval: 5e9, Retries: 2 },
    Entrypoint: ['/entry', '$A'],
    Cmd: ['/bin/ash', '-c', 'run $A'],
    OnBuild: ['RUN more'],
  });
  assert.deepEqual(said.slice(0, 2), ['ENV A=1 B=x ', 'ENV A=2 C=1']);
  assert.equal(said[11], 'ENTRYPOINT ["/entry","$A"]');
});

test('changeConfig: ENTRYPOINT forgets an inherited CMD, and keeps one of this stage', () => {
  assert.equal(configure('ENTRYPOINT ["e"]', { Cmd: ['old'] }).config.Cmd, undefined);
  assert.deepEqual(configure('CMD ["new"]\nENTRYPOINT ["e"]', { Cmd: ['old'] }).config.Cmd, ['new']);
});

test('changeConfig shows the place of a bad value', () => {
  for (const [text, message] of [
    ['EXPOSE 80/icmp', /Dockerfile:2:8: invalid containerPort: 80\/icmp/],
    ['EXPOSE 70000', /invalid containerPort/],
    ['EXPOSE 9-8', /invalid containerPort/],
    ['STOPSIGNAL S/G', /Invalid signal/],
    ['WORKDIR $NONE', /WORKDIR is empty/],
    ['ENV $NONE=1', /names can not be blank/],
  ] as const)
    assert.throws(() => configure(text), { kind: 'invalid', message });
});
