"""Two machines of a few pages, to be migrated without a core."""

from collections.abc import Iterator

from sdeiviz.errors import Error
from sdeiviz.migration import Destination, Source
from sdeiviz.migration.wire import Decoder, Encoder, Message, Packaged, Page, Pages

STATE = b"registers and devices"
PAGE = 4096


def content(value: int) -> bytes:
    """A page that holds a value; of 0 a zero page."""
    return value.to_bytes(8, "big") * (PAGE // 8)


class Old:
    """A guest where it comes from: pages, and which of them were written."""

    def __init__(self, values: list[int]) -> None:
        self.values = values
        self.log: set[int] = set()

    def write(self, page: int, value: int) -> None:
        self.values[page] = value
        self.log.add(page)

    def read(self, first: int, count: int) -> bytes:
        return b"".join(map(content, self.values[first : first + count]))

    def dirty_log(self) -> set[int]:
        log, self.log = self.log, set()
        return log


class New:
    """A guest where it goes to: a `Host`. Pages are absent until they are placed."""

    def __init__(self, pages: int) -> None:
        self.pages: dict[int, bytes] = dict.fromkeys(range(pages), b"of another life")
        self.placed: list[int] = []
        """Since the guest runs."""
        self.story: list[str] = []
        self.running = False

    def discard(self, first: int, count: int) -> None:
        assert not self.running
        self.story.append(f"discard {first}+{count}")
        for page in range(first, first + count):
            self.pages.pop(page, None)

    def place(self, page: int, data: bytes | None) -> bool:
        self.story.append(f"place {page}")
        if page in self.pages:
            return False
        self.pages[page] = bytes(PAGE) if data is None else data
        if self.running:
            self.placed.append(page)
        return True

    def place_pages(self, first: int, count: int, data: bytes | None) -> int:
        pages = [None if data is None else data[n : n + PAGE] for n in range(0, count * PAGE, PAGE)]
        return sum(self.place(first + n, page) for n, page in enumerate(pages))

    def load(self, state: bytes) -> None:
        self.story.append("load")
        if state != STATE:
            raise Error("not the state of this machine")

    def run(self) -> None:
        self.story.append("run")
        self.running = True


def pair(
    values: list[int], *, urgent: bool = False, jump: bool = True, bulk: int = 1
) -> tuple[Old, Source, New, Destination]:
    """Return both guests and both sides."""
    old, new = Old(list(values)), New(len(values))
    source = Source(len(values), old.read, old.dirty_log, urgent=urgent, jump=jump, bulk=bulk)
    return old, source, new, Destination(len(values), new)


def pulled(side: Source | Destination) -> Iterator[Message]:
    """Everything that a side has to send now."""
    while (message := side.pull()) is not None:
        yield message


def pull_until_package(source: Source) -> list[Message]:
    """Messages up to the package and with it."""
    messages = []
    while not messages or not isinstance(messages[-1], Packaged):
        message = source.pull()
        assert message
        messages.append(message)
    return messages


def numbers(messages: list[Message]) -> list[int]:
    """The pages among messages."""
    found = []
    for message in messages:
        if isinstance(message, Page):
            found.append(message.number)
        elif isinstance(message, Pages):
            found += range(message.first, message.first + message.count)
    return found


class Connection:
    """Carries bytes between two sides as a test wants; what it holds is on the way."""

    def __init__(self, source: Source, destination: Destination, channels: int) -> None:
        self.source, self.destination = source, destination
        self.forward = [bytearray() for _ in range(channels)]
        self.back = bytearray()
        self._encoders = [Encoder() for _ in range(channels)]
        self._decoders = [Decoder() for _ in range(channels)]
        self._back_encoder, self._back_decoder = Encoder(), Decoder()

    def pull(self, channel: int) -> Message | None:
        """Let the source send a message."""
        message = self.source.pull_urgent() if channel else self.source.pull()
        if message is not None:
            self.forward[channel] += self._encoders[channel].encode(message)
        return message

    def pull_back(self) -> Message | None:
        """Let the destination send a message."""
        message = self.destination.pull()
        if message is not None:
            self.back += self._back_encoder.encode(message)
        return message

    def deliver(self, channel: int, size: int) -> None:
        """Let so many bytes arrive at the destination."""
        data = self.forward[channel][:size]
        del self.forward[channel][:size]
        for message in self._decoders[channel].feed(data):
            self.destination.receive(message, urgent=bool(channel))

    def deliver_back(self, size: int) -> None:
        """Let so many bytes arrive at the source."""
        data = self.back[:size]
        del self.back[:size]
        for message in self._back_decoder.feed(data):
            self.source.receive(message)

    def flush(self) -> None:
        """Carry everything until both sides are silent."""
        spoke = True
        while spoke:
            spoke = False
            for channel, way in enumerate(self.forward):
                while self.pull(channel):
                    pass
                spoke |= bool(way)
                self.deliver(channel, len(way))
            while self.pull_back():
                pass
            spoke |= bool(self.back)
            self.deliver_back(len(self.back))
