import type { Instruction, Word } from './instructions.ts';
import { checkDescription, type LintKnowledge, meant, type Report } from './lint.ts';
import { variableNames } from './lint-variables.ts';
import type { Dockerfile, Stage } from './parse.ts';

type Step = Stage['instructions'][number];

const once: readonly Instruction['kind'][] = ['CMD', 'ENTRYPOINT', 'HEALTHCHECK'];
const secretWords = /(?:^|_)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)/i;
const publicWords = /(?:^|_)public(?:_|$)/i;
/** Set for every stage without being declared, and what a shell sets. */
const always = [
  'PATH',
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'FTP_PROXY', 'NO_PROXY', 'ALL_PROXY'].flatMap((name) => [name, name.toLowerCase()]),
];

/** The rules about the instructions of one stage. */
export function lintStage(file: Dockerfile, stage: Stage, knowledge: LintKnowledge, report: Report): void {
  const { instructions } = stage;
  for (const kind of once) {
    const all = instructions.filter((one) => one.kind === kind);
    for (const early of all.slice(0, -1))
      report(
        'MultipleInstructionsDisallowed',
        early.span,
        `Multiple ${kind} instructions should not be used in the same stage because only the last one will be used`,
      );
  }
  let hasShell = false;
  let hasWorkdir = false;
  const names = inherited(file, stage, knowledge);
  for (const one of instructions) {
    checkVariables(file, one, names, report);
    switch (one.kind) {
      case 'MAINTAINER':
        report('MaintainerDeprecated', one.span, 'Maintainer instruction is deprecated in favor of using label');
        break;
      case 'SHELL':
        hasShell = true;
        break;
      case 'CMD':
      case 'ENTRYPOINT':
        if (one.command.form === 'shell' && !hasShell)
          report(
            'JSONArgsRecommended',
            one.span,
            `JSON arguments recommended for ${one.kind} to prevent unintended behavior related to OS signals`,
          );
        break;
      case 'WORKDIR':
        if (/^[^/$"'\\]/.test(one.value.text) && !/^[A-Za-z]:/.test(one.value.text) && !hasWorkdir)
          report(
            'WorkdirRelativePath',
            one.span,
            `Relative workdir "${one.value.text}" can have unexpected results if the base image changes`,
          );
        else hasWorkdir = true;
        break;
      case 'ENV':
      case 'LABEL':
        if (one.pairs.length === 1 && /^\S+\s+(?:--\S+\s+)*[^\s=]+\s/.test(one.original))
          report(
            'LegacyKeyValueFormat',
            one.span,
            `"${one.kind} key=value" should be used instead of legacy "${one.kind} key value" format`,
          );
        if (one.kind === 'ENV') for (const { key } of one.pairs) checkSecret(one, key, report);
        break;
      case 'ARG':
        for (const { name } of one.args) checkSecret(one, name, report);
        checkDescription(
          file,
          one.span,
          one.args.map(({ name }) => name.text),
          report,
        );
        break;
      case 'EXPOSE':
        for (const { text } of one.values) checkPort(one, text, report);
        break;
      case 'COPY':
      case 'ADD':
        checkIgnored(one, knowledge, report);
    }
    if (names === undefined) continue;
    if (one.kind === 'ENV') for (const { key } of one.pairs) names.add(key.text);
    if (one.kind === 'ARG') for (const { name } of one.args) names.add(name.text);
  }
}

function checkSecret(instruction: Step, { text }: Word, report: Report): void {
  if (secretWords.test(text) && !publicWords.test(text))
    report(
      'SecretsUsedInArgOrEnv',
      instruction.span,
      `Do not use ARG or ENV instructions for sensitive data (${instruction.kind} "${text}")`,
    );
}

function checkPort(instruction: Step, text: string, report: Report): void {
  const protocol = text.split('/')[1];
  if (protocol !== undefined && !protocol.includes('$') && protocol !== protocol.toLowerCase())
    report(
      'ExposeProtoCasing',
      instruction.span,
      `Defined protocol '${text}' in EXPOSE instruction should be lowercase`,
    );
  if (/^[\d.[\]a-fA-F]*:[\d.:]*\d/.test(text))
    report(
      'ExposeInvalidFormat',
      instruction.span,
      `EXPOSE instruction should not define an IP address or host-port mapping, found '${text}'`,
    );
}

function checkIgnored(
  instruction: Extract<Step, { kind: 'COPY' | 'ADD' }>,
  { ignores }: LintKnowledge,
  report: Report,
): void {
  if (ignores === undefined || (instruction.kind === 'COPY' && instruction.from !== undefined)) return;
  for (const { text } of instruction.sources) {
    const path = text.replace(/^(?:\.?\/)+/, '').replace(/\/+$/, '');
    if (path === '' || path === '.' || /[*?[$\\]|:\/\//.test(path)) continue;
    if (ignores(path))
      report(
        'CopyIgnoredFile',
        instruction.span,
        `Attempting to ${instruction.kind === 'COPY' ? 'Copy' : 'Add'} file "${text}" that is excluded by .dockerignore`,
      );
  }
}

/** Names that are set when a stage begins; undefined where its base image is not known. */
function inherited(file: Dockerfile, stage: Stage, knowledge: LintKnowledge): Set<string> | undefined {
  const base = stage.from.image.text;
  if (base.includes('$')) return undefined;
  const earlier = file.stages.findLast(({ index, name }) => index < stage.index && name === base.toLowerCase());
  if (earlier === undefined) {
    const known = base.toLowerCase() === 'scratch' ? [] : knowledge.environmentOf?.(base);
    return known === undefined ? undefined : new Set([...always, ...known]);
  }
  const names = inherited(file, earlier, knowledge);
  if (names === undefined) return undefined;
  for (const one of earlier.instructions) if (one.kind === 'ENV') for (const { key } of one.pairs) names.add(key.text);
  return names;
}

function checkVariables(file: Dockerfile, one: Step, names: ReadonlySet<string> | undefined, report: Report): void {
  if (names === undefined) return;
  const known = new Set(names);
  // Within one ARG a later name may use an earlier one; ENV sees only what was before it.
  if (one.kind === 'ARG') for (const { name } of one.args) known.add(name.text);
  for (const { text } of expandedWords(one))
    for (const { name, hasDefault } of variableNames(text, file.escape)) {
      if (hasDefault || known.has(name)) continue;
      report('UndefinedVar', one.span, `Usage of undefined variable '$${name}'${meant(name, [...known], '$')}`);
    }
}

/** The parts of an instruction that the builder expands; a RUN's command is the shell's. */
function expandedWords(one: Step): readonly Word[] {
  switch (one.kind) {
    case 'ENV':
    case 'LABEL':
      return one.pairs.flatMap(({ key, value }) => [key, value]);
    case 'ARG':
      return one.args.flatMap(({ value }) => (value === undefined ? [] : [value]));
    case 'WORKDIR':
    case 'USER':
    case 'STOPSIGNAL':
      return [one.value];
    case 'EXPOSE':
    case 'VOLUME':
      return one.values;
    case 'COPY':
    case 'ADD':
      return [...one.sources, one.destination];
    default:
      return [];
  }
}
