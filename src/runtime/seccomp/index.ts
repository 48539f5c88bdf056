export { auditArch, type SeccompArch } from './architectures.ts';
export { interpretBpf } from './bpf.ts';
export { compileSeccomp } from './compile-seccomp.ts';
export { defaultSeccompProfile } from './default-profile.ts';
