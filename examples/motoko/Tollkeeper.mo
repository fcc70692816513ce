/// The part of the Tollkeeper's interface (canister.did) that a seller uses. What is not read is left out.
module {
  public type AccessArgs = { payer : Principal; payment_id : Blob; method : Text; path : Text };
  public type AccessError = {
    #Unauthorized;
    #InvalidArgument : { field : Text; problem : Text };
    #NotPaid;
    #NotDelivered;
    #Refunded;
    #Expired : { until : Nat64 };
  };
  public type Interface = actor {
    access : query AccessArgs -> async { #Ok : { until : Nat64 }; #Err : AccessError };
  };

  /// The argument of `x402_notify`.
  public type PaymentEvent = {
    event_id : Nat64;
    kind : { #Settled; #Delivered; #Refunded : { block_index : Nat } };
    payment_id : Blob;
    path : Text;
  };
};
