// The words of the page, in English and Japanese.

const plural = (n, one, many) => (n === 1 ? one : many);

const english = {
  title: "MangaAssist · the manga store's assistant",
  skip: "Skip to the question box",
  newConversation: "New",
  newConversationLabel: "New conversation",
  conversations: "Shelf",
  conversationsLabel: "Conversations in this tab",
  conversationsTitle: "Conversations in this tab",
  untitled: "New conversation",
  remove: (title) => `Remove “${title}”`,
  questions: (n) => `${n} ${plural(n, "question", "questions")}`,
  switchLanguage: "日本語で表示する",
  conversation: "Conversation",
  welcome: "Let us find your next volume.",
  welcomeText: "Ask about a title, a genre, an author, the stock or an order, in English or in Japanese.",
  jump: "Jump to the latest",
  question: "Your question",
  placeholder: "Ask about manga",
  model: "Model",
  haiku: "Haiku",
  haikuHint: "Haiku: faster, cheaper",
  sonnet: "Sonnet",
  sonnetHint: "Sonnet: more thorough",
  hint: "Enter to send, Shift+Enter for a new line",
  hintBusy: "Answering. Esc to stop",
  stop: "Stop",
  send: "Send",
  reconnectNow: "Reconnect now",
  answer: "Answer",
  questionTitle: (n) => `Question ${n}`,
  thinking: "Thinking",
  stopping: "Stopping",
  waitingForConnection: "Waiting for the connection",
  retry: "Try again",
  edit: "Edit the question",
  copy: "Copy",
  copied: "Copied",
  copyFailed: "Could not copy",
  regenerate: "Regenerate",
  toolInput: "Input",
  toolResult: "Result",
  toolRunning: "running",
  toolSuccess: "done",
  toolError: "failed",
  toolUnfinished: "not finished",
  tools: {
    search_manga_catalog: "Searched the catalogue",
    get_order_status: "Looked up the order",
    check_manga_availability: "Checked the stock",
  },
  toolOther: "Used a tool",
  shortened: "(shortened here)",
  factModel: "Model",
  factInput: "Input",
  factCacheRead: "From cache",
  factCacheWrite: "To cache",
  factOutput: "Output",
  factCost: "Cost",
  factFirst: "First token",
  factTotal: "Total",
  tokens: (n) => `${n} ${n === "1" ? "token" : "tokens"}`,
  unknown: "unknown",
  exactly: (amount) => `Exactly $${amount}`,
  stopped: "You stopped this answer.",
  stopReasons: {
    max_tokens: "The answer reached its length limit and ends early.",
    content_filtered: "A content filter ended the answer.",
    guardrail_intervened: "A guardrail ended the answer.",
    refusal: "The model declined to go on.",
    model_context_window_exceeded: "The conversation is too long for the model. Start a new one.",
  },
  forgotten: (n) => `The conversation grew too long to send whole: the first ${n} ${plural(n, "message was", "messages were")} left out.`,
  empty: "The answer was empty.",
  counter: (n, max) => `${n} of ${max} characters`,
  tooLong: (over, max) => `Too long by ${over} ${over === "1" ? "character" : "characters"}: a question has at most ${max}. Please shorten it.`,
  busy: "An answer is on its way. Wait for it, or stop it first.",
  connected: "Connected",
  connecting: "Connecting",
  disconnected: "Offline",
  lost: (seconds) => `The connection is lost. Trying again in ${seconds} s.`,
  lostNow: "The connection is lost. Trying again…",
  announceStart: "The answer has started.",
  announceEnd: "The answer is complete.",
  announceStopped: "The answer was stopped.",
  announceError: (title) => `Error. ${title}`,
  announceConnected: "Connected again.",
  announceNew: "New conversation.",
  errors: {
    bad_request: ["The question was not accepted.", "Change it and send it again."],
    busy: ["The assistant is busy.", "Wait a moment, then try again."],
    quota: ["The assistant has reached its limit for today.", "Come back tomorrow."],
    too_long: ["The conversation is too long for the model.", "Start a new conversation."],
    too_large: ["The message was too large for the server.", "Shorten the question or start a new conversation."],
    timeout: ["The answer took too long.", "Try again."],
    interrupted: ["The answer broke off.", "Try again: the question will be answered anew."],
    too_many_tools: ["The assistant could not finish looking things up.", "Ask a simpler question."],
    model_unavailable: ["This model is not available to the server.", "Choose the other model; the server's log says what to allow."],
    internal: ["The assistant failed.", "Try again."],
    connection: ["The connection broke before the answer was complete.", "Try again: the question will be answered anew."],
    not_connected: ["There is no connection to the server.", "Check that it is running, then try again."],
    reloaded: ["The page was reloaded before the answer was complete.", "Try again: the question will be answered anew."],
    gap: ["A part of the answer was lost on its way.", "Try again: the question will be answered anew."],
  },
  errorOther: "Something went wrong.",
  notices: {}, // the server says it in English
};

const japanese = {
  title: "MangaAssist・漫画店の相談窓口",
  skip: "質問欄へ移動",
  newConversation: "新規",
  newConversationLabel: "新しい会話",
  conversations: "本棚",
  conversationsLabel: "このタブの会話",
  conversationsTitle: "このタブの会話",
  untitled: "新しい会話",
  remove: (title) => `「${title}」を削除`,
  questions: (n) => `質問${n}件`,
  switchLanguage: "Show in English",
  conversation: "会話",
  welcome: "どんな漫画をお探しですか。",
  welcomeText: "作品、ジャンル、作者、在庫、ご注文について、日本語でも英語でもお尋ねください。",
  jump: "最新へ移動",
  question: "質問",
  placeholder: "漫画について尋ねる",
  model: "モデル",
  haiku: "Haiku",
  haikuHint: "Haiku：速くて安価",
  sonnet: "Sonnet",
  sonnetHint: "Sonnet：よりていねい",
  hint: "Enterで送信、Shift+Enterで改行",
  hintBusy: "回答中です。Escで停止",
  stop: "停止",
  send: "送信",
  reconnectNow: "今すぐ再接続",
  answer: "回答",
  questionTitle: (n) => `質問 ${n}`,
  thinking: "考えています",
  stopping: "停止しています",
  waitingForConnection: "接続を待っています",
  retry: "もう一度試す",
  edit: "質問を直す",
  copy: "コピー",
  copied: "コピーしました",
  copyFailed: "コピーできません",
  regenerate: "再生成",
  toolInput: "入力",
  toolResult: "結果",
  toolRunning: "実行中",
  toolSuccess: "完了",
  toolError: "失敗",
  toolUnfinished: "未完了",
  tools: {
    search_manga_catalog: "カタログを検索",
    get_order_status: "注文を確認",
    check_manga_availability: "在庫を確認",
  },
  toolOther: "ツールを使用",
  shortened: "（以下、表示を省略）",
  factModel: "モデル",
  factInput: "入力",
  factCacheRead: "キャッシュ読込",
  factCacheWrite: "キャッシュ書込",
  factOutput: "出力",
  factCost: "料金",
  factFirst: "最初のトークン",
  factTotal: "合計",
  tokens: (n) => `${n}トークン`,
  unknown: "不明",
  exactly: (amount) => `正確には ${amount} ドル`,
  stopped: "この回答は停止されました。",
  stopReasons: {
    max_tokens: "回答が長さの上限に達したため、途中で終わっています。",
    content_filtered: "コンテンツフィルターが回答を終了しました。",
    guardrail_intervened: "ガードレールが回答を終了しました。",
    refusal: "モデルが回答を控えました。",
    model_context_window_exceeded: "会話が長すぎます。新しい会話を始めてください。",
  },
  forgotten: (n) => `会話が長くなったため、最初の${n}件のメッセージは送られていません。`,
  empty: "回答は空でした。",
  counter: (n, max) => `${max}字中${n}字`,
  tooLong: (over, max) => `${over}字超えています。質問は${max}字までです。短くしてください。`,
  busy: "回答の途中です。終わるのを待つか、先に停止してください。",
  connected: "接続済み",
  connecting: "接続中",
  disconnected: "切断",
  lost: (seconds) => `接続が切れました。${seconds}秒後に再接続します。`,
  lostNow: "接続が切れました。再接続しています…",
  announceStart: "回答が始まりました。",
  announceEnd: "回答が終わりました。",
  announceStopped: "回答を停止しました。",
  announceError: (title) => `エラー。${title}`,
  announceConnected: "再接続しました。",
  announceNew: "新しい会話です。",
  errors: {
    bad_request: ["質問を受け付けられませんでした。", "内容を直して、もう一度送ってください。"],
    busy: ["アシスタントが混み合っています。", "少し待ってから、もう一度お試しください。"],
    quota: ["本日の利用上限に達しました。", "明日またお越しください。"],
    too_long: ["会話が長すぎて、モデルが扱えません。", "新しい会話を始めてください。"],
    too_large: ["メッセージが大きすぎます。", "質問を短くするか、新しい会話を始めてください。"],
    timeout: ["回答に時間がかかりすぎました。", "もう一度お試しください。"],
    interrupted: ["回答が途中で切れました。", "もう一度試すと、最初から回答します。"],
    too_many_tools: ["調べものを終えられませんでした。", "もっと簡単な質問をお試しください。"],
    model_unavailable: ["サーバーはこのモデルを利用できません。", "別のモデルを選んでください。必要な権限はサーバーのログにあります。"],
    internal: ["回答に失敗しました。", "もう一度お試しください。"],
    connection: ["回答の途中で接続が切れました。", "もう一度試すと、最初から回答します。"],
    not_connected: ["サーバーに接続していません。", "サーバーが動いていることを確かめて、もう一度お試しください。"],
    reloaded: ["回答の途中でページが再読み込みされました。", "もう一度試すと、最初から回答します。"],
    gap: ["回答の一部が届きませんでした。", "もう一度試すと、最初から回答します。"],
  },
  errorOther: "問題が起きました。",
  notices: {
    offline: "オフラインの模擬アシスタントです。店のカタログのことだけにお答えします。料金は、実際のモデルでかかる金額です。",
    aws: "Amazon Bedrockのモデルがお答えします。回答ごとに料金がかかります。",
  },
};

const languages = { en: english, ja: japanese };
const stored = "mangaassist.language";

export let language = preferred();
export let words = languages[language];

function preferred() {
  try {
    const choice = localStorage.getItem(stored);
    if (Object.hasOwn(languages, choice ?? "")) return choice;
  } catch {
    // Storage is denied: the browser's language it is.
  }
  return navigator.language.startsWith("ja") ? "ja" : "en";
}

export function switchLanguage() {
  language = language === "ja" ? "en" : "ja";
  words = languages[language];
  try {
    localStorage.setItem(stored, language);
  } catch {
    // The choice lasts until the page is left.
  }
}

// translate fills the elements under root that name their text in data-text.
export function translate(root) {
  for (const element of root.querySelectorAll("[data-text]")) {
    element.textContent = words[element.dataset.text];
  }
}
