import type { FromInstruction, Instruction, Word } from './instructions.ts';
import { lintStage } from './lint-stage.ts';
import { variableNames } from './lint-variables.ts';
import { nearest } from './nearest.ts';
import type { Dockerfile, Stage } from './parse.ts';
import type { Span } from './source.ts';

/** The rules, by BuildKit's names (docs.docker.com/reference/build-checks). */
export type LintRule =
  | 'ConsistentInstructionCasing'
  | 'CopyIgnoredFile'
  | 'DuplicateStageName'
  | 'ExposeInvalidFormat'
  | 'ExposeProtoCasing'
  | 'FromAsCasing'
  | 'FromPlatformFlagConstDisallowed'
  | 'InvalidBaseImagePlatform'
  | 'InvalidDefaultArgInFrom'
  | 'InvalidDefinitionDescription'
  | 'JSONArgsRecommended'
  | 'LegacyKeyValueFormat'
  | 'MaintainerDeprecated'
  | 'MultipleInstructionsDisallowed'
  | 'NoEmptyContinuation'
  | 'RedundantTargetPlatform'
  | 'ReservedStageName'
  | 'SecretsUsedInArgOrEnv'
  | 'StageNameCasing'
  | 'UndefinedArgInFrom'
  | 'UndefinedVar'
  | 'WorkdirRelativePath';

export interface LintWarning {
  readonly rule: LintRule;
  readonly message: string;
  readonly file: string;
  /** Line, from 1. */
  readonly line: number;
  /** The line itself. */
  readonly text: string;
  /** What the rule is for, in a page. */
  readonly url: string;
}

/** What is known besides the file itself; a rule that needs what is not known stays silent. */
export interface LintKnowledge {
  /** Names that the environment of an image sets. */
  readonly environmentOf?: (reference: string) => readonly string[] | undefined;
  /** Platforms of an image that is for another one than the stage, and is taken all the same. */
  readonly foreignBaseOf?: (
    from: FromInstruction,
  ) => { readonly actual: string; readonly expected: string } | undefined;
  /** Whether .dockerignore keeps a path of the context out. */
  readonly ignores?: (path: string) => boolean;
}

/** What to do about the rules: `# check=skip=RuleA,RuleB;experimental=RuleC;error=true`. */
export interface CheckDirective {
  readonly skip: ReadonlySet<string>;
  /** Rules that only hold where they are asked for. */
  readonly experimental: ReadonlySet<string>;
  readonly error: boolean;
}

/** Tells of a rule that is broken, where. */
export type Report = (rule: LintRule, span: Span, message: string) => void;

/** Reads the `check` directive; its absence checks everything and fails on nothing. */
export function checkDirective(file: Dockerfile): CheckDirective {
  const text = file.directives.find(({ name }) => name === 'check')?.value ?? '';
  const settings = new Map(
    text.split(';').map((part) => {
      const [key = '', value = ''] = part.split('=', 2);
      return [key.trim().toLowerCase(), value.trim()] as const;
    }),
  );
  const rules = (key: string) => new Set((settings.get(key) ?? '').split(',').map((name) => name.trim()));
  return {
    skip: rules('skip'),
    experimental: rules('experimental'),
    error: settings.get('error') === 'true',
  };
}

/** Looks for what works and yet is a mistake. What the file's `check` directive skips is left out. Pure. */
export function lintDockerfile(file: Dockerfile, knowledge: LintKnowledge = {}): readonly LintWarning[] {
  const { skip, experimental } = checkDirective(file);
  const found: LintWarning[] = [];
  const report: Report = (rule, span, message) => {
    if (skip.has(rule) || skip.has('all')) return;
    if (rule === 'InvalidDefinitionDescription' && !experimental.has(rule) && !experimental.has('all')) return;
    const { source, start } = span;
    found.push({
      rule,
      message,
      file: source.name,
      line: start.line,
      text: source.lines[start.line - 1] ?? '',
      url: `https://docs.docker.com/go/dockerfile/rule/${rule.replace(/(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/g, '-').toLowerCase()}/`,
    });
  };
  for (const warning of file.warnings) report('NoEmptyContinuation', warning.span, warning.message);
  checkCasing(file, report);
  const globals = new Map(
    file.globalArgs.flatMap(({ args }) => args.map(({ name, value }) => [name.text, value?.text] as const)),
  );
  for (const { args, span } of file.globalArgs)
    checkDescription(
      file,
      span,
      args.map(({ name }) => name.text),
      report,
    );
  for (const stage of file.stages) {
    if (stage.name !== undefined) {
      checkDescription(file, stage.from.span, [stage.name], report);
      if (file.stages.some(({ index, name }) => index < stage.index && name === stage.name))
        report(
          'DuplicateStageName',
          stage.from.span,
          `Duplicate stage name '${stage.name}', stage names should be unique`,
        );
    }
    checkFrom(stage.from, stage, globals, report);
    const foreign = knowledge.foreignBaseOf?.(stage.from);
    if (foreign !== undefined)
      report(
        'InvalidBaseImagePlatform',
        stage.from.span,
        `Base image ${stage.from.image.text} was pulled with platform "${foreign.actual}", expected "${foreign.expected}" for current build`,
      );
    lintStage(file, stage, knowledge, report);
  }
  return found.sort((a, b) => a.line - b.line);
}

/** What stands right above a stage or an argument describes it, and begins with its name (docs.docker.com: --call=outline). */
export function checkDescription(file: Dockerfile, span: Span, names: readonly string[], report: Report): void {
  const texts: string[] = [];
  for (let line = span.start.line - 1; ; line--) {
    const comment = file.comments.find((one) => one.span.start.line === line);
    if (comment === undefined) break;
    texts.push(comment.text.trim());
  }
  if (
    texts.length === 0 ||
    texts.some((text) => names.some((name) => text.toLowerCase().startsWith(`${name.toLowerCase()} `)))
  )
    return;
  report(
    'InvalidDefinitionDescription',
    span,
    `Comment for build stage or argument should follow the format: \`# ${names[0] ?? ''} <description>\`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.`,
  );
}

/** The keyword as it is written. */
export function writtenKeyword({ span: { source, start } }: Instruction): string {
  return /^\S+/.exec((source.lines[start.line - 1] ?? '').slice(start.column - 1))?.[0] ?? '';
}

function checkCasing(file: Dockerfile, report: Report): void {
  const all: readonly Instruction[] = [
    ...file.globalArgs,
    ...file.stages.flatMap(({ from, instructions }) => [from, ...instructions]),
  ];
  const isLower = (instruction: Instruction) => /^[a-z]+$/.test(writtenKeyword(instruction));
  const lower = all.filter(isLower).length;
  const majority = lower > all.length / 2 ? 'lowercase' : 'uppercase';
  for (const instruction of all) {
    const written = writtenKeyword(instruction);
    const wanted = majority === 'lowercase' ? written.toLowerCase() : written.toUpperCase();
    if (written !== wanted)
      report(
        'ConsistentInstructionCasing',
        instruction.span,
        `Command '${written}' should match the case of the command majority (${majority})`,
      );
  }
}

const predefined = ['BUILD', 'TARGET'].flatMap((side) =>
  ['PLATFORM', 'OS', 'ARCH', 'VARIANT'].map((part) => `${side}${part}`),
);
const reserved = ['context', 'scratch'];

function checkFrom(
  from: FromInstruction,
  stage: Stage,
  globals: ReadonlyMap<string, string | undefined>,
  report: Report,
): void {
  const written = sourceText(from);
  const [, as, name] = /\s(as)\s+(\S+)\s*$/i.exec(written) ?? [];
  if (name !== undefined && name !== name.toLowerCase())
    report('StageNameCasing', from.span, `Stage name '${name}' should be lowercase`);
  const keyword = writtenKeyword(from);
  if (as !== undefined && /^[A-Z]+$/.test(as) !== /^[A-Z]+$/.test(keyword))
    report('FromAsCasing', from.span, `'${as}' and '${keyword}' keywords' casing do not match`);
  if (stage.name !== undefined && reserved.includes(stage.name))
    report('ReservedStageName', from.span, `Stage name should not use the same name as reserved stage "${stage.name}"`);
  const known = [...globals.keys(), ...predefined, 'TARGETSTAGE'];
  for (const variable of [...namesIn(from.image), ...namesIn(from.platform)]) {
    if (known.includes(variable.name)) continue;
    report(
      'UndefinedArgInFrom',
      from.span,
      `FROM argument '${variable.name}' is not declared${meant(variable.name, known)}`,
    );
  }
  const empty = namesIn(from.image).find(
    ({ name: variable, hasDefault }) => !hasDefault && globals.has(variable) && !globals.get(variable),
  );
  if (empty !== undefined)
    report(
      'InvalidDefaultArgInFrom',
      from.span,
      `Default value for ARG ${from.image.text} results in empty or invalid base image name`,
    );
  const platform = from.platform?.text;
  if (platform === undefined) return;
  if (/^\$\{?TARGETPLATFORM\}?$/.test(platform))
    report(
      'RedundantTargetPlatform',
      from.span,
      `Setting platform to predefined ${platform} in FROM is redundant as this is the default behavior`,
    );
  else if (!platform.includes('$') && stage.name?.includes(platform.split('/').at(-1) ?? platform) !== true)
    report(
      'FromPlatformFlagConstDisallowed',
      from.span,
      `FROM --platform flag should not use constant value "${platform}"`,
    );
}

const sourceText = ({ span: { source, start, end } }: Instruction): string =>
  source.lines
    .slice(start.line - 1, end.line)
    .join(' ')
    .trim();

const namesIn = (word: Word | undefined) => (word === undefined ? [] : variableNames(word.text));

/** ` (did you mean X?)`, or nothing. */
export function meant(name: string, known: readonly string[], sign = ''): string {
  const near = nearest(name, known);
  return near === undefined ? '' : ` (did you mean ${sign}${near}?)`;
}
