// Keeps the end of the log in sight, as long as the reader is there.

const byId = (id) => document.getElementById(id);
const log = byId("log");

export const follow = {
  on: true,
  top: 0,
  planned: false,

  now() {
    this.on = true;
    log.scrollTop = byId("welcome").hidden ? log.scrollHeight : 0;
    byId("jump").hidden = true;
  },

  soon() {
    if (this.planned) return;
    this.planned = true;
    requestAnimationFrame(() => {
      this.planned = false;
      if (this.on && byId("welcome").hidden) log.scrollTop = log.scrollHeight;
      this.showJump();
    });
  },

  // scrolled tells the reader's scrolling up from our own scrolling down.
  scrolled() {
    const below = log.scrollHeight - log.clientHeight - log.scrollTop;
    if (below < 4) this.on = true;
    else if (log.scrollTop < this.top) this.on = false;
    this.top = log.scrollTop;
    this.showJump();
  },

  showJump() {
    byId("jump").hidden = this.on || log.scrollHeight - log.clientHeight - log.scrollTop < 4;
  },
};

log.addEventListener("scroll", () => follow.scrolled());
new ResizeObserver(() => follow.soon()).observe(log);
byId("jump").addEventListener("click", () => {
  follow.now();
  log.focus();
});
