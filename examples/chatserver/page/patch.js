// patch gives an element other children, after the first ones if these are kept, and
// leaves in place what stays the same: a selection, the focus and the place of a
// scrolled box survive.

const element = 1;
const text = 3;

export function patch(parent, wanted, kept = 0) {
  const nodes = [...wanted];
  const old = [...parent.childNodes].slice(kept);
  nodes.forEach((node, i) => {
    if (i >= old.length) parent.append(node);
    else if (!old[i].isEqualNode(node)) change(old[i], node);
  });
  for (const node of old.slice(nodes.length)) node.remove();
}

function change(old, node) {
  if (old.nodeType === text && node.nodeType === text && node.data.startsWith(old.data)) {
    old.appendData(node.data.slice(old.data.length));
  } else if (old.nodeType === element && node.nodeType === element && old.cloneNode(false).isEqualNode(node.cloneNode(false))) {
    patch(old, node.childNodes);
  } else {
    old.replaceWith(node);
  }
}
