"""Names and sentences of the people in a simulated city, by country, in the language spoken there.

All are made up. Each mood has its own sentences, from calm (nobody minds) to unrest (somebody gets hurt).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Voice(NamedTuple):
    """Given and family names in the order they are spoken, and sentences by mood."""

    first: tuple[str, ...]
    second: tuple[str, ...]
    calm: tuple[str, ...]
    tense: tuple[str, ...]
    unrest: tuple[str, ...]
    between: str = " "

    @property
    def names(self) -> list[str]:
        return [f"{first}{self.between}{second}" for first in self.first for second in self.second]


def _voice(first: str, second: str, *moods: str, between: str = " ") -> Voice:
    calm, tense, unrest = (tuple(said.split("|")) for said in moods)
    return Voice(tuple(first.split()), tuple(second.split()), calm, tense, unrest, between)


ENGLISH: Final = _voice(
    "Amelia Noah Grace Liam Ruth Samuel Ivy Marcus",
    "Okafor Bennett O'Neill Clarke Mwangi Fraser Whitlock Reyes",
    "Lovely evening, isn't it?|The bus is on time for once.|They play chess by the fountain.|See you at the market.",
    "Move along, there is nothing to see.|Who called them here?|Keep your voice down.",
    'Somebody threw a bottle!|Get back, "they" are coming!|Call a medic, quickly.',
)
SPANISH: Final = _voice(
    "Lucía Mateo Sofía Íñigo Valentina Andrés Ximena Joaquín",
    "Muñoz García Peña Rodríguez Ibáñez Castañeda Núñez Rojas",
    "¡Qué tarde tan tranquila!|El pan está recién hecho.|Nos vemos en la plaza.",
    "¿Por qué gritan?|No te metas en eso.|La calle está cortada.",
    "¡Cuidado, tiran piedras!|¡Llama a una ambulancia!|Están rompiendo los escaparates.",
)
PORTUGUESE: Final = _voice(
    "João Inês Conceição Tomás Luísa Antônio Beatriz Caetano",
    "Araújo Gonçalves Simões Brandão Magalhães Leitão Corrêa Lopes",
    "Que dia bonito na praça.|O café já está pronto.|As crianças jogam bola.",
    "Está muita gente na rua.|Não olhe, siga em frente.|O que aconteceu ali?",
    "Estão atirando pedras!|Chamem a ambulância!|Fechem as portas, depressa!",
)
FRENCH: Final = _voice(
    "Chloé Étienne Zoé François Aminata Gaël Maëlle Ousmane",
    "Lefèvre Bérenger Diallo Hébert Traoré Garçon Noël Châtelain",
    "Quel beau temps aujourd'hui.|Le marché est calme.|On se retrouve au café.",
    "Pourquoi crient-ils ?|Ne restez pas là.|La rue est barrée.",
    "Ils jettent des pierres !|Appelez les secours, vite !|Ça brûle devant la mairie.",
)
GERMAN: Final = _voice(
    "Jürgen Anneliese Björn Käthe Sören Grete Matthias Ümit",
    "Müller Groß Schäfer Weiß Köhler Böhm Jäger Lüdemann",
    "Schönes Wetter heute.|Der Zug ist pünktlich.|Wir treffen uns am Brunnen.",
    "Was ist da vorne los?|Gehen Sie bitte weiter.|Das gefällt mir nicht.",
    "Da fliegen Flaschen!|Rufen Sie einen Krankenwagen!|Alle zurück, schnell!",
)
POLISH: Final = _voice(
    "Łukasz Zofia Żaneta Wojciech Błażej Małgorzata Ścibor Ewa",
    "Wiśniewski Dąbrowska Kamiński Źrebiec Łęcki Wójcik Późniak Gołąb",
    "Ładny dziś dzień.|Spotkamy się na rynku.|Tramwaj zaraz przyjedzie.",
    "Co tam się dzieje?|Proszę się rozejść.|Nie idź tamtędy.",
    "Rzucają kamieniami!|Wezwijcie pogotowie!|Uciekajcie stąd!",
)
TURKISH: Final = _voice(
    "Ayşe İbrahim Çağla Oğuz Şule Gökhan Işıl Ömer",
    "Yılmaz Öztürk Çelik Şahin Güneş Doğan Kılıç Aydın",
    "Çay hazır, buyurun.|Bugün hava çok güzel.|Akşam meydanda görüşürüz.",
    "Orada ne oluyor?|Lütfen ilerleyin.|Bu kalabalık hoşuma gitmiyor.",
    "Taş atıyorlar!|Ambulans çağırın!|Herkes geri çekilsin!",
)
RUSSIAN: Final = _voice(
    "Алёна Юрий Наталья Фёдор Ксения Артём Зоя Михаил",
    "Соловей Кузнец Бондаренко Шевчук Журавль Мельник Коваль Чайка",
    "Сегодня тихо во дворе.|Поезд пришёл вовремя.|Встретимся у фонтана.",
    "Что там происходит?|Проходите, не задерживайтесь.|Мне это не нравится.",
    "Они бросают камни!|Вызовите скорую!|Все назад, быстро!",
)
GREEK: Final = _voice(
    "Ελένη Γιώργος Άννα Νίκος Χρήστος Ζωή",
    "Παπαδάκης Οικονόμου Δημητρίου Αγγέλου Λάμπρου Κωστής",
    "Ωραία μέρα σήμερα.|Τα λέμε στην πλατεία.",
    "Τι γίνεται εκεί;|Προχωρήστε, παρακαλώ.",
    "Πετάνε πέτρες!|Φωνάξτε ασθενοφόρο!",
)
ARABIC: Final = _voice(
    "ليلى يوسف فاطمة عمر نور خالد مريم طارق",
    "حداد النجار المصري بغدادي الخطيب سلمان قاسم منصور",
    "المساء هادئ اليوم.|القهوة جاهزة.|نلتقي عند النافورة.",
    "ماذا يحدث هناك؟|ابتعدوا من فضلكم.|الشارع مغلق.",
    "إنهم يرمون الحجارة!|اتصلوا بالإسعاف!|ارجعوا بسرعة!",
)
PERSIAN: Final = _voice(
    "شیرین کاوه پریسا بهرام ژاله آرش",
    "گلستانی تهرانی فرهادی پژمان کریمی چمنی",
    "هوا امروز خوب است.|چای آماده است.",
    "آنجا چه خبر است؟|لطفاً حرکت کنید.",
    "سنگ پرت می‌کنند!|آمبولانس خبر کنید!",
)
HEBREW: Final = _voice(
    "נועה איתן שירה דוד תמר יואב",
    "לוי מזרחי פרץ כהן אברהם ברק",
    "ערב שקט היום.|ניפגש בכיכר.",
    "מה קורה שם?|בבקשה להתקדם.",
    "זורקים אבנים!|תזמינו אמבולנס!",
)
HINDI: Final = _voice(
    "आरव प्रिया रोहन सुनीता विक्रम कमला अर्जुन मीरा",
    "शर्मा वर्मा गुप्ता यादव मिश्रा जोशी कुमार सिंह",
    "आज मौसम अच्छा है।|चाय तैयार है।|बाज़ार में मिलते हैं।",
    "वहाँ क्या हो रहा है?|कृपया आगे बढ़ें।|सड़क बंद है।",
    "वे पत्थर फेंक रहे हैं!|एम्बुलेंस बुलाओ!|सब पीछे हटो!",
)
BENGALI: Final = _voice(
    "রহিম শিউলি অমল তানিয়া সুমন নাজমা",
    "চৌধুরী দাস হোসেন রায় সরকার বেগম",
    "আজ আবহাওয়া সুন্দর।|বাজারে দেখা হবে।",
    "ওখানে কী হচ্ছে?|দয়া করে এগিয়ে যান।",
    "ওরা পাথর ছুড়ছে!|অ্যাম্বুলেন্স ডাকো!",
)
CHINESE: Final = _voice(
    "王 李 张 刘 陈 杨 赵 欧阳",
    "伟 芳 秀英 建国 小明 丽华 志强 雪梅",
    "今天天气真好。|公园里很安静。|晚上一起吃饭吧。",
    "前面怎么了?|请不要围观。|这条路封了。",
    "他们在扔石头!|快叫救护车!|大家往后退!",
    between="",
)
JAPANESE: Final = _voice(
    "佐藤 鈴木 高橋 田中 渡辺 伊藤 山本 中村",
    "さくら 健太 陽子 大輔 美咲 蓮 直樹 ひかり",
    "今日は静かですね。|電車は時間どおりです。|公園で会いましょう。",
    "何があったんですか。|立ち止まらないでください。|道が通れません。",
    "石を投げています!|救急車を呼んで!|下がってください!",
)
KOREAN: Final = _voice(
    "김 이 박 최 정 강",
    "서연 민준 지우 하은 도윤 수아",
    "오늘 날씨가 좋네요.|공원에서 만나요.",
    "저기 무슨 일이에요?|지나가 주세요.",
    "돌을 던지고 있어요!|구급차를 불러 주세요!",
    between="",
)
THAI: Final = _voice(
    "สมชาย มาลี อนันต์ กัญญา ประเสริฐ ดวงใจ",
    "ใจดี แสงทอง ศรีสุข บุญมา วงศ์ไทย ทองคำ",
    "วันนี้อากาศดี|เจอกันที่ตลาดนะ",
    "ตรงนั้นเกิดอะไรขึ้น|กรุณาเดินต่อ",
    "เขาขว้างก้อนหิน!|เรียกรถพยาบาลด่วน!",
)
VIETNAMESE: Final = _voice(
    "Nguyễn Trần Lê Phạm Đặng Bùi",
    "Hương Tuấn Thảo Dũng Quỳnh Đức",
    "Hôm nay trời đẹp quá.|Gặp nhau ở chợ nhé.",
    "Có chuyện gì ở đó vậy?|Xin đi tiếp.",
    "Họ đang ném đá!|Gọi xe cấp cứu đi!",
)
AMHARIC: Final = _voice(
    "አበበ ሰላም ተስፋዬ ሀና ከበደ ማርታ",
    "ገብሬ ታደሰ በቀለ መኮንን አለሙ ወልዴ",
    "ዛሬ ጸጥ ያለ ቀን ነው።|ገበያ እንገናኝ።",
    "እዚያ ምን እየሆነ ነው?|እባክዎ ይለፉ።",
    "ድንጋይ እየወረወሩ ነው!|አምቡላንስ ጥሩ!",
)

_SPOKEN: Final[Mapping[Voice, str]] = {
    SPANISH: "Spain,Mexico,Colombia,Argentina,Peru,Venezuela,Chile,Ecuador,Guatemala,Cuba,Bolivia,Dominican Republic,"
    "Honduras,Paraguay,El Salvador,Nicaragua,Costa Rica,Panama,Uruguay",
    PORTUGUESE: "Portugal,Brazil,Angola,Mozambique",
    FRENCH: "France,Belgium,Senegal,Ivory Coast,Mali,Niger,Burkina Faso,Cameroon,Haiti,Madagascar,Togo,Benin,Guinea,"
    "Democratic Republic of the Congo,Republic of the Congo,Chad,Gabon",
    GERMAN: "Germany,Austria,Switzerland",
    POLISH: "Poland",
    TURKISH: "Turkey,Azerbaijan",
    RUSSIAN: "Russia,Belarus,Kazakhstan,Kyrgyzstan",
    GREEK: "Greece,Cyprus",
    ARABIC: "Egypt,Iraq,Saudi Arabia,Morocco,Algeria,Sudan,Syria,Yemen,Jordan,Lebanon,Libya,Tunisia,Kuwait,Oman,Qatar,"
    "United Arab Emirates,Palestinian Territory,Bahrain,Mauritania",
    PERSIAN: "Iran,Afghanistan",
    HEBREW: "Israel",
    HINDI: "India,Nepal",
    BENGALI: "Bangladesh",
    CHINESE: "China,Taiwan,Hong Kong,Macao",
    JAPANESE: "Japan",
    KOREAN: "South Korea,North Korea",
    THAI: "Thailand",
    VIETNAMESE: "Vietnam",
    AMHARIC: "Ethiopia",
}
_BY_COUNTRY: Final = {country: voice for voice, countries in _SPOKEN.items() for country in countries.split(",")}


def voice_of(country: str) -> Voice:
    """The voice of a country by its English name; English if there is none."""
    return _BY_COUNTRY.get(country, ENGLISH)
