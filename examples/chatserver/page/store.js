// The conversations of this browser, in IndexedDB.
//
// A conversation is {id, title, askedAt, turns}; its entry in the list has no turns.
// Each change reads and writes a conversation in one transaction, so that two tabs
// lose nothing of each other's. The event "change" (detail: the id) comes after
// another tab has changed or removed a conversation.

const mostConversations = 500; // the oldest one goes when there are more
const longestTitle = 200;

// openStore promises the store, or one for this page alone if the browser keeps
// nothing.
export async function openStore() {
  try {
    return new Store(new Database(await open()));
  } catch {
    return new Store(new Memory());
  }
}

class Store extends EventTarget {
  #records;
  #channel = new BroadcastChannel("mangaassist.conversations");

  constructor(records) {
    super();
    this.#records = records;
    this.#channel.addEventListener("message", ({ data }) => this.dispatchEvent(new CustomEvent("change", { detail: data })));
  }

  // list promises the entries, the one that was asked last first.
  async list() {
    const entries = await this.#records.entries();
    return entries.sort((a, b) => b.askedAt - a.askedAt);
  }

  // load promises a conversation, undefined if there is none.
  load(id) {
    return this.#records.read(id);
  }

  // change lets a function change a conversation, a new one if there is none yet. If
  // it returns false, nothing is written.
  async change(id, change) {
    await this.#records.update(id, (found) => {
      const conversation = found ?? newConversation(id);
      return change(conversation) === false ? null : [conversation, entryOf(conversation)];
    });
    this.#channel.postMessage(id);
    await this.#shorten();
  }

  async remove(id) {
    await this.#records.remove(id);
    this.#channel.postMessage(id);
  }

  async #shorten() {
    const entries = await this.list();
    for (const { id } of entries.slice(mostConversations)) await this.remove(id);
  }
}

export function newConversation(id = crypto.randomUUID()) {
  return { id, title: "", askedAt: Date.now(), turns: [] };
}

function entryOf({ id, title, askedAt, turns }) {
  return { id, title: title || (turns[0]?.question ?? "").slice(0, longestTitle), askedAt, questions: turns.length };
}

// Database keeps conversations and entries in two object stores.
class Database {
  #database;

  constructor(database) {
    this.#database = database;
  }

  entries() {
    return this.#run("readonly", ({ entries }) => entries.getAll());
  }

  read(id) {
    return this.#run("readonly", ({ conversations }) => conversations.get(id));
  }

  update(id, change) {
    return this.#run("readwrite", ({ conversations, entries }) => {
      const found = conversations.get(id);
      found.onsuccess = () => {
        const changed = change(found.result);
        if (!changed) return;
        conversations.put(changed[0]);
        entries.put(changed[1]);
      };
      return found;
    });
  }

  remove(id) {
    return this.#run("readwrite", ({ conversations, entries }) => {
      conversations.delete(id);
      return entries.delete(id);
    });
  }

  // run promises the result of a request once its transaction is complete.
  #run(mode, work) {
    return new Promise((resolve, reject) => {
      const transaction = this.#database.transaction(["conversations", "entries"], mode);
      const request = work({ conversations: transaction.objectStore("conversations"), entries: transaction.objectStore("entries") });
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
    });
  }
}

function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("mangaassist", 1);
    request.onupgradeneeded = () => {
      for (const name of ["conversations", "entries"]) request.result.createObjectStore(name, { keyPath: "id" });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = request.onblocked = () => reject(request.error);
  });
}

// Memory is for browsers that keep nothing.
class Memory {
  #records = new Map();

  async entries() {
    return [...this.#records.values()].map(([, entry]) => entry);
  }

  async read(id) {
    return structuredClone(this.#records.get(id)?.[0]);
  }

  async update(id, change) {
    const changed = change(await this.read(id));
    if (changed) this.#records.set(id, structuredClone(changed));
  }

  async remove(id) {
    this.#records.delete(id);
  }
}

const former = "mangaassist.conversations.1"; // where versions before IndexedDB kept them

// moveIn takes over what this tab still has from such a version.
export async function moveIn(store) {
  try {
    const { conversations } = JSON.parse(sessionStorage.getItem(former)) ?? {};
    for (const { id, turns } of [...(conversations ?? [])].reverse()) {
      await store.change(id, (conversation) => conversation.turns.length === 0 && Object.assign(conversation, { turns }));
    }
  } catch {
    // Denied or damaged: there is nothing to take over.
  }
  try {
    sessionStorage.removeItem(former);
  } catch {
    // Denied: there is nothing to remove.
  }
}
