import { StringDecoder } from 'node:string_decoder';
import { frameError, type Lookup, type RunInstruction } from '#dockerfile/index.ts';
import { GantryError } from '#errors/index.ts';
import type { ImageRunConfig } from '#oci/index.ts';
import type { BuildSession } from './build-session.ts';
import { canRun } from './foreign-programs.ts';
import { keyedStep } from './keyed-step.ts';
import { canRunAsItIs, platformName } from './platforms.ts';
import { commandLine, defaultShell, environment } from './run-config.ts';
import { makeScript, scriptPath } from './run-script.ts';
import type { StageOutput } from './stage-output.ts';
import type { StageState, StepResult } from './stage-state.ts';
import { shortDiffId } from './step-layers.ts';
import { mountInputs, openStepMounts, planMounts } from './step-mounts.ts';
import { coverTargets } from './step-targets.ts';

/** RUN: a command on a fresh diff. @throws GantryError invalid (code `step-failed`) for an exit code other than 0 */
export async function runStep(
  session: BuildSession,
  state: StageState,
  instruction: RunInstruction,
  at: {
    readonly stage: number;
    readonly args: ReadonlyMap<string, string>;
    readonly lookup: Lookup;
    readonly output: StageOutput;
  },
): Promise<StepResult> {
  const { request, driver, signal } = session;
  const { output, args } = at;
  const command = runArguments(instruction, state.config);
  const env = environment(state.config);
  const declared = [...args].filter(([name]) => !env.has(name)).sort(([a], [b]) => (a < b ? -1 : 1));
  const proxies = [...session.args.proxies].filter(([name]) => !env.has(name) && !args.has(name));
  const text = (pairs: Iterable<readonly [string, string]>) => Array.from(pairs, ([name, value]) => `${name}=${value}`);
  const cwd = state.config.WorkingDir || '/';
  const user = state.config.User ?? '';
  const networkMode = networkOf(instruction, session);
  const privileged = isInsecure(instruction, session);
  const planned = await planMounts(session, instruction.mounts, at);

  const said = command.args.join(' ');
  const createdBy = declared.length === 0 ? said : `|${declared.length} ${text(declared).join(' ')} ${said}`;
  const named = (kind: string, pairs: Iterable<readonly [string, string]>) =>
    Object.fromEntries(Array.from(pairs, ([name, value]) => [`${kind} ${name}`, value]));
  const made = await keyedStep(
    session,
    state,
    at,
    {
      kind: 'run',
      original: instruction.original,
      facts: {
        'the command': command,
        ...named('ENV', env),
        ...named('ARG', declared),
        'the working directory': cwd,
        'the user': user,
        'the network': networkMode,
        ...(canRunAsItIs(state.platform) ? {} : { 'the platform': platformName(state.platform) }),
        ...(privileged ? { 'the security mode': 'insecure' } : {}),
        ...(planned.length === 0 ? {} : { 'what is mounted': await mountInputs(session, planned) }),
        ...(request.extraHosts?.length ? { 'extra hosts': request.extraHosts } : {}),
      },
    },
    async ({ diffId, log }) => {
      if (!canRun(state.platform))
        throw frameError(
          instruction.span,
          `this host cannot run programs for ${platformName(state.platform)}; set up binfmt_misc with qemu-user-static`,
          'unsupported',
        );
      const container = shortDiffId(diffId);
      output.text(` ---> Running in ${container}\n`);
      await using mounted = await openStepMounts(session, planned, cwd);
      const script = command.script === undefined ? [] : [await makeScript(session.scratch, command.script)];
      const mounts = [...mounted.mounts, ...script];
      await using covered = await coverTargets(session, diffId, mounts);
      const decoders = { stdout: new StringDecoder('utf8'), stderr: new StringDecoder('utf8') };
      const { exitCode } = await session.steps.run(
        {
          diffId,
          rootfs: session.mountPoints.below(covered.below(await driver.mounts(diffId))),
          args: command.args,
          env: [...text(proxies), ...text(declared), ...text(env), ...mounted.env],
          cwd,
          user,
          networkMode,
          ...(mounts.length === 0 ? {} : { mounts }),
          ...(privileged ? { privileged } : {}),
          ...(request.extraHosts === undefined ? {} : { extraHosts: request.extraHosts }),
          ...(request.limits === undefined ? {} : { limits: request.limits }),
        },
        { onOutput: (stream, data) => log(decoders[stream].write(data)), signal },
      );
      if (exitCode !== 0)
        throw new GantryError('invalid', `The command '${said}' returned a non-zero code: ${exitCode}`, {
          code: 'step-failed',
          cause: frameError(instruction.span, `the command ended with exit code ${exitCode}`),
        });
      output.text(` ---> Removed intermediate container ${container}\n`);
    },
  );
  return { ...made, createdBy };
}

function isInsecure({ security }: RunInstruction, { request }: BuildSession): boolean {
  if (security === undefined || security.text === 'sandbox') return false;
  if (security.text !== 'insecure')
    throw frameError(security.span, `unknown security mode "${security.text}"; it is sandbox or insecure`);
  if (request.entitlements?.includes('security.insecure') !== true)
    throw frameError(
      security.span,
      'RUN --security=insecure needs a build with --allow security.insecure',
      'forbidden',
    );
  return true;
}

function networkOf({ network }: RunInstruction, { request }: BuildSession): string {
  const ofBuild = request.networkMode || 'default';
  if (network === undefined || network.text === 'default') return ofBuild;
  if (network.text === 'none') return 'none';
  if (network.text !== 'host')
    throw frameError(network.span, `unknown network "${network.text}"; it is default, none or host`);
  if (ofBuild !== 'host' && request.entitlements?.includes('network.host') !== true)
    throw frameError(
      network.span,
      'RUN --network=host needs a build with --network host or --allow network.host',
      'forbidden',
    );
  return 'host';
}

interface RunArguments {
  readonly args: readonly string[];
  /** A heredoc that begins with #!: it is a program of its own, mounted for the step. */
  readonly script?: string;
}

/** The command with its heredocs: one that stands alone is the script itself, others are the shell's to read. */
function runArguments({ command, span }: RunInstruction, config: ImageRunConfig): RunArguments {
  if (command.form === 'exec') {
    if (command.args.length === 0) throw frameError(span, 'RUN needs a command');
    return { args: command.args };
  }
  const [only, ...more] = command.heredocs;
  if (only === undefined) return { args: commandLine(command, config) };
  const shell = config.Shell ?? defaultShell;
  if (more.length === 0 && /^<<-?\S+$/.test(command.text.trim()))
    return only.body.startsWith('#!') ? { args: [scriptPath], script: only.body } : { args: [...shell, only.body] };
  const bodies = command.heredocs.map((heredoc) => `${heredoc.body}${heredoc.name}\n`).join('');
  return { args: [...shell, `${command.text}\n${bodies}`] };
}
