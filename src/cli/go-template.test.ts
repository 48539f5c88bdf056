import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseTemplate } from './go-template.ts';

const data = {
  Name: '/web',
  State: { Running: true, Pid: 42, Error: '' },
  Config: { Cmd: ['sh', '-c', 'x'], Env: null, Labels: { b: '2', a: '1' } },
  Ports: { '80/tcp': [{ HostIp: '0.0.0.0', HostPort: '8080' }], '53/udp': null },
  Label: (name: string) => `label ${name}`,
};
const render = (template: string) => parseTemplate(template)(data);

test('parseTemplate evaluates what docker inspect --format is used with', () => {
  for (const [template, expected] of [
    ['plain', 'plain'],
    ['{{.Name}} {{.State.Pid}} {{.State.Running}}', '/web 42 true'],
    ['{{json .Config.Labels}} {{json .Config.Env}}', '{"b":"2","a":"1"} null'],
    ['{{.Config.Cmd}} {{.Config.Labels}} {{.Config.Env}}', '[sh -c x] map[a:1 b:2] <nil>'],
    ['{{join .Config.Cmd " "}} {{len .Config.Cmd}} {{index .Config.Cmd 1}}', 'sh -c x 3 -c'],
    ['{{range .Config.Cmd}}[{{.}}]{{end}}', '[sh][-c][x]'],
    ['{{range $i, $v := .Config.Cmd}}{{$i}}={{$v}};{{end}}', '0=sh;1=-c;2=x;'],
    ['{{range $k, $v := .Config.Labels}}{{$k}}{{$v}}{{end}}', 'a1b2'],
    ['{{range .Config.Env}}x{{else}}none{{end}}', 'none'],
    ['{{if .State.Running}}up{{else}}down{{end}}', 'up'],
    ['{{if .State.Error}}e{{else if eq .State.Pid 42}}pid{{else}}no{{end}}', 'pid'],
    ['{{with .State}}{{.Pid}}{{end}}{{with .Config.Env}}x{{else}}y{{end}}', '42y'],
    ['{{(index (index .Ports "80/tcp") 0).HostPort}}', '8080'],
    ['{{range $p, $c := .Ports}}{{if $c}}{{$p}}->{{(index $c 0).HostPort}}{{end}}{{end}}', '80/tcp->8080'],
    ['{{$x := .State.Pid}}{{if true}}{{$x = 7}}{{end}}{{$x}} {{$.Name}}', '7 /web'],
    ['{{.Name | upper | printf "%-6s|"}}', '/WEB  |'],
    ['{{printf "%05d %q %.2f %s" 42 "a" 1.5 .Name}}', '00042 "a" 1.50 /web'],
    ['{{and .State.Running .State.Pid}} {{or .State.Error "none"}} {{not .State.Running}}', '42 none false'],
    ['a {{- " b " -}} c', 'a b c'],
    ['{{/* a comment */}}x', 'x'],
    ['{{.Label "tier"}}', 'label tier'],
    ['{{truncate .Name 2}} {{title "abc"}} {{split "a,b" ","}} {{slice .Name 1}}', '/w Abc [a b] web'],
    ['{{lt 1 2}} {{ne "a" "b"}} {{ge 2 2}} {{eq .Name "x" "/web"}}', 'true true true true'],
    ['{{println "a"}}', 'a\n'],
    ['{{range .Config.Cmd}}{{if eq . "x"}}{{break}}{{end}}{{if eq . "sh"}}{{continue}}{{end}}{{.}}{{end}}', '-c'],
    ['{{define "t"}}<{{.}}>{{end}}{{template "t" .Name}}{{template "t"}}', '</web><<no value>>'],
    ['{{block "b" .State}}{{.Pid}}{{end}}', '42'],
    ['{{html "<a>"}} {{js "it\'s"}} {{urlquery "a b&c"}}', "&lt;a&gt; it\\'s a+b%26c"],
    ['{{`raw`}} {{ "q\\"" }}', 'raw q"'],
  ] as const)
    assert.equal(render(template), expected, template);
});

test('parseTemplate fails as Go does, with the place', () => {
  for (const [template, message] of [
    ['{{.Foo}}', 'template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"'],
    ['{{.State.Foo}}', 'template: :1:8: executing "" at <.State.Foo>: map has no entry for key "Foo"'],
    ['{{.Foo', 'template: :1: unclosed action'],
    ['{{nosuch .}}', 'template: :1: function "nosuch" not defined'],
    ['{{end}}', 'template: :1: unexpected {{end}}'],
    ['{{if .Name}}x', 'template: :1: unexpected EOF'],
    ['{{if}}x{{end}}', 'template: :1: missing value for if'],
  ] as const)
    assert.throws(() => render(template), { code: 'template', message }, template);
  assert.throws(() => render('{{index .Config.Cmd 9}}'), { code: 'template', message: /index out of range: 9/ });
  assert.throws(() => render('{{.constructor}}'), { code: 'template' });
  assert.throws(() => render('{{$nosuch}}'), { code: 'template' });
});

test('parseTemplate leaves out what is missing where asked to', () => {
  assert.equal(parseTemplate('{{.Foo}} {{.Foo.Bar}}', { missing: 'no value' })({}), '<no value> <no value>');
});
