// node validate.cjs FOLDER TEMPLATE…: what aws-cdk-lib's rules find, as JSON by file.
// The rules print, and set the exit code; so this is a process of its own.
const { App, Stack } = require('aws-cdk-lib');
const { CfnInclude } = require('aws-cdk-lib/cloudformation-include');
const path = require('path');

const [folder, ...files] = process.argv.slice(2);
const found = {};
const print = process.stderr.write;
for (const templateFile of files) {
  const printed = [];
  process.stderr.write = text => (printed.push(String(text)), true);
  let failure;
  try {
    const app = new App({ outdir: path.join(folder, 'out', path.basename(templateFile)), context: { '@aws-cdk/core:validateAgainstDefaultRules': true } });
    new CfnInclude(new Stack(app, 'Checked'), 'Template', { templateFile });
    app.synth();
  } catch (error) {
    failure = 'ERROR ' + error.message.split('\n')[0];
  }
  process.stderr.write = print;
  const lines = printed.join('').split('\n').filter(l => /^(ERROR|WARNING)/.test(l));
  found[path.basename(templateFile)] = lines.length || !failure ? lines : [failure];
}
process.exitCode = 0;
console.log(JSON.stringify(found));
