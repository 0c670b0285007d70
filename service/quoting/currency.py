"""Currencies of ISO 4217 with their minor units, and the one way in which an amount is rounded."""

from decimal import ROUND_HALF_UP, Context, Decimal

from service.quoting.refusal import refusal

# Digits that products of price, rate, quantity and share need: then only `rounded` ever drops one.
EXACT = Context(prec=80, rounding=ROUND_HALF_UP)

# ISO 4217 list one: currencies in circulation, less funds codes, metals and codes for testing.
_TWO = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP "
    "CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES "
    "KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK "
    "NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB "
    "TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
)
_NONE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE = "BHD IQD JOD KWD LYD OMR TND"

MINOR_DIGITS: dict[str, int] = {
    **dict.fromkeys(_TWO.split(), 2),
    **dict.fromkeys(_NONE.split(), 0),
    **dict.fromkeys(_THREE.split(), 3),
}
"""Digits behind the point of an amount that can be paid, by currency."""


def known_currency(code: str, *, field: str) -> str:
    """The code itself. Raises InvalidRequestError where ISO 4217 has no such currency."""
    if code not in MINOR_DIGITS:
        limit = "a currency code of ISO 4217, in capitals, such as EUR"
        message = "There is no such currency in ISO 4217; give a code of three capitals, such as EUR."
        raise refusal(field, message, value=code, limit=limit)
    return code


def rounded(amount: Decimal, currency: str) -> Decimal:
    """The amount in whole minor units of its currency; halves away from zero."""
    unit = Decimal(1).scaleb(-MINOR_DIGITS[currency])
    return amount.quantize(unit, rounding=ROUND_HALF_UP, context=EXACT)


def nothing(currency: str) -> Decimal:
    """Zero as that currency writes it."""
    return rounded(Decimal(0), currency)
