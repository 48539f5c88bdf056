export { interpretBpf } from './bpf.ts';
export { auditArch, compileSeccomp, type SeccompArch } from './compile-seccomp.ts';
export { defaultSeccompProfile } from './default-profile.ts';
